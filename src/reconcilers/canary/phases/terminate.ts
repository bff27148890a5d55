// The way back: the target is scaled up, gets all traffic, the Service that clients call is as it was, and only then may the copies go.
import { readinessOf, replicasOf } from '../deployment.ts';
import { givenBack, isGivenBack } from '../desired/services.ts';
import type { Look } from '../look.ts';
import { drained, POLL_MS } from './pace.ts';

export const REVERT = 'weft.dev/canary-revert';

export function terminate(look: Look): void {
  const { canary, observed, plan, progress } = look;
  const { apex } = observed.services;
  if (progress.phase !== 'Terminating') {
    look.enter('Terminating');
    look.tell('Normal', 'Terminating', `Terminating canary ${look.who}`);
  }
  if (replicasOf(look.target) === 0) {
    look.scale(Math.max(1, observed.primary === undefined ? 1 : replicasOf(observed.primary)));
    return look.again(POLL_MS);
  }
  const { ready } = readinessOf(observed.target, plan.readyPercent.canary);
  const waitedMs = progress.phase === 'Terminating' ? look.elapsedMs : 0;
  // A target that does not get up must not keep its Canary for ever.
  if (!ready && waitedMs < plan.deadlineMs) return look.again(Math.min(POLL_MS, plan.deadlineMs - waitedMs));
  if (look.weight < 100 && observed.split !== undefined) {
    look.keep('split');
    look.route(100);
    look.enter('Terminating');
    return look.again(POLL_MS);
  }
  if (apex !== undefined && !isGivenBack(look, apex)) {
    look.giveBack(givenBack(look, apex));
    look.enter('Terminating');
    return look.again(POLL_MS);
  }
  if (!drained(look)) return;
  look.finalizers(canary.finalizers.filter(name => name !== REVERT));
}
