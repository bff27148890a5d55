// At rest, until the target has a new revision.
import { type Asking, hooks, type Refusal } from '../ask.ts';
import type { Look } from '../look.ts';
import { trackedConfigsOf } from '../revision.ts';
import { drained, due } from './pace.ts';
import { promotionFailed, startPromotion } from './promote.ts';
import { freshRun, scaleUp } from './run.ts';

export function* rest(look: Look): Asking<void> {
  const { observed, progress } = look;
  look.keep('all');
  if (observed.primary === undefined) look.copyToPrimary();
  const changed = look.revision !== progress.lastAppliedSpec && look.revision !== progress.lastPromotedSpec;
  if (changed) {
    if (progress.phase !== 'Waiting' || due(look)) yield* begin(look);
    return;
  }
  if (progress.phase === 'Waiting') {
    look.enter('Succeeded', { lastAppliedSpec: look.revision });
    return;
  }
  // Said before it was done: a process that ended between the two has left it to this one.
  if (progress.draining) look.route(0);
  if (promotionFailed(look)) look.route(100);
  if (progress.draining && drained(look)) {
    look.scaleDown();
    look.set({ draining: false });
  }
}

function* begin(look: Look): Asking<void> {
  const { plan, observed } = look;
  const refusal = yield* hooks(look, 'confirm-rollout');
  if (refusal !== undefined) {
    hold(look, refusal);
    return;
  }
  look.enter('Progressing', {
    ...freshRun,
    lastAppliedSpec: look.revision,
    trackedConfigs: trackedConfigsOf(observed.configs),
  });
  if (plan.skipAnalysis) {
    startPromotion(look);
    return;
  }
  look.tell('Normal', 'NewRevision', `New revision detected! Scaling up ${look.targetWho}`);
  look.alert('info', 'New revision detected, progressing canary analysis.');
  scaleUp(look);
  look.again(plan.intervalMs);
}

function hold(look: Look, { hook }: Refusal): void {
  if (look.progress.phase !== 'Waiting') {
    look.tell('Warning', 'Waiting', `Halt ${look.who} advancement waiting for approval ${hook.name}`);
    if (!hook.mute) look.alert('warn', 'Canary is waiting for approval.');
  }
  look.enter('Waiting', { gate: `confirm-rollout ${hook.name}` });
  look.again(look.plan.intervalMs);
}
