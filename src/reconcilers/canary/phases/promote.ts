// The judged revision becomes the primary's, traffic follows, and the canary is scaled to zero.
import type { Asking } from '../ask.ts';
import { primaryName } from '../desired/subject.ts';
import { readinessOf } from '../deployment.ts';
import type { Look } from '../look.ts';
import { primaryRevision } from '../revision.ts';
import { inForce } from '../route.ts';
import { drained, due, POLL_MS } from './pace.ts';
import { restart } from './run.ts';

/** What is copied was read together with its revision, which is the one that was judged. */
export function startPromotion(look: Look): void {
  look.copyToPrimary();
  look.enter('Promoting');
  look.tell(
    'Normal',
    'Promoting',
    `Copying ${look.targetWho} template spec to ${primaryName(look)}.${look.canary.namespace}`,
  );
  look.again(POLL_MS);
}

// Nothing is asked of others here, but all phases have one form.
// oxlint-disable-next-line require-yield
export function* promote(look: Look): Asking<void> {
  const { observed, plan, progress } = look;
  look.keep('all');
  const isJudged = look.revision === progress.lastAppliedSpec;
  if (primaryRevision(observed.primary) !== progress.lastAppliedSpec) {
    // A process ended before it had copied what was judged; by now the target may have something else.
    if (isJudged) look.copyToPrimary();
    else restart(look);
    look.again(POLL_MS);
    return;
  }
  const readiness = readinessOf(observed.primary, plan.readyPercent.primary);
  if (readiness.ready) shift(look, isJudged);
  else if (look.elapsedMs >= plan.deadlineMs) failPromotion(look, readiness.reason);
  else look.again(Math.min(POLL_MS, plan.deadlineMs - look.elapsedMs));
}

function shift(look: Look, isJudged: boolean): void {
  const { observed, plan } = look;
  // What nobody has looked at gets no traffic while the primary takes over.
  if (plan.promotionStep === 0 || look.weight <= plan.promotionStep || !isJudged) {
    look.tell('Normal', 'Advanced', 'Routing all traffic to primary');
    look.route(0);
    look.enter('Finalising');
    look.again(1);
    return;
  }
  if (!due(look)) return;
  look.again(inForce(observed.split).ok ? plan.intervalMs : POLL_MS);
  if (!inForce(observed.split).ok) return;
  look.route(look.weight - plan.promotionStep);
  look.step({});
  look.tell('Normal', 'Advanced', `Advance ${look.who} primary weight ${100 - look.weight}`);
}

/** The canary was found good and still runs; the primary does not get up. So the canary serves, if it has pods. */
function failPromotion(look: Look, why: string): void {
  const { observed, plan } = look;
  const serves = readinessOf(observed.target, plan.readyPercent.canary).available > 0;
  if (serves) look.route(100);
  look.enter('Failed', { draining: false });
  const what = serves ? 'failed, all traffic stays with the canary' : 'failed';
  const note = `Promotion of ${look.who} ${what}: the primary is not ready: ${why}`;
  look.tell('Warning', 'PromotionFailed', note);
  look.alert('error', note);
  look.notify('post-rollout');
}

/** At rest after such a promotion, with a canary that serves a part. */
export function promotionFailed({ progress, observed, weight }: Look): boolean {
  const begun = primaryRevision(observed.primary) === progress.lastAppliedSpec;
  return progress.phase === 'Failed' && !progress.draining && begun && weight > 0;
}

// oxlint-disable-next-line require-yield
export function* finalise(look: Look): Asking<void> {
  look.keep('all');
  look.route(0);
  if (!drained(look)) return;
  const { lastAppliedSpec } = look.progress;
  look.scaleDown();
  look.enter('Succeeded', { lastPromotedSpec: lastAppliedSpec, analysisStarted: false, iterations: 0 });
  look.tell('Normal', 'Succeeded', `Promotion completed! Scaling down ${look.targetWho}`);
  look.alert('info', 'Canary analysis completed successfully, promotion finished.');
  look.notify('post-rollout');
  // A revision that came meanwhile is seen at once.
  look.again(1);
}
