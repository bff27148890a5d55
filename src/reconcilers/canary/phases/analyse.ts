// A run: one look each interval, a failed one counts, a good one moves on.
import { type Asking, anyYes, hooks, measure, type Verdict } from '../ask.ts';
import { readinessOf } from '../deployment.ts';
import type { Look } from '../look.ts';
import { inForce } from '../route.ts';
import { advance } from './advance.ts';
import { due, POLL_MS, ROUTE_PATIENCE_MS } from './pace.ts';
import { startPromotion } from './promote.ts';
import { backToPrimary, restart, scaleUp } from './run.ts';
import { rollBack } from './roll-back.ts';

/** Annotations on a Canary whose value is the revision that is meant, so that none is taken for a later one. */
const ABORT = 'weft.dev/canary-abort';
const PROMOTE = 'weft.dev/canary-promote';

export function* analyse(look: Look): Asking<void> {
  const { canary, plan, progress } = look;
  const isMeant = (annotation: string): boolean => canary.annotations[annotation] === progress.lastAppliedSpec;
  look.keep('all');
  if (look.revision !== progress.lastAppliedSpec) restart(look);
  else if (isMeant(ABORT)) rollBack(look, `it was aborted (annotation ${ABORT})`);
  else if (isMeant(PROMOTE) || plan.skipAnalysis) startPromotion(look);
  else yield* lookAt(look);
}

function* lookAt(look: Look): Asking<void> {
  const { plan, progress, observed } = look;
  scaleUp(look);
  if (!progress.analysisStarted) backToPrimary(look);
  if (!canaryReady(look) || !due(look)) return;
  const hook = yield* anyYes(look, 'rollback');
  if (hook !== undefined) {
    rollBack(look, `manual rollback by webhook ${hook.name}`);
    return;
  }
  const route = inForce(observed.split);
  const verdict: Verdict = route.ok
    ? yield* progress.analysisStarted ? goOn(look) : start(look)
    : { kind: 'bad', note: `TrafficSplit ${plan.apex} is not in force: ${route.why}` };
  if (verdict.kind === 'good') yield* advance(look);
  else count(look, verdict);
}

/** The canary's own trouble ends a run before its first step; later on its pods are judged by what they answer. */
function canaryReady(look: Look): boolean {
  const { observed, plan, progress } = look;
  const { ready, reason, available } = readinessOf(observed.target, plan.readyPercent.canary);
  const route = inForce(observed.split);
  if (!route.ok && look.elapsedMs < Math.max(ROUTE_PATIENCE_MS, plan.intervalMs)) {
    look.again(POLL_MS);
    return false;
  }
  if (ready || (progress.analysisStarted && available > 0)) return true;
  if (progress.analysisStarted) {
    if (due(look)) count(look, { kind: 'bad', note: `${look.targetWho} has no available pod: ${reason}` });
    return false;
  }
  if (look.elapsedMs >= plan.deadlineMs) {
    rollBack(look, `${look.targetWho} not ready within ${plan.deadlineMs / 1_000} s: ${reason}`);
    return false;
  }
  look.wait('pods of the canary', 'NotReady', `${look.targetWho} not ready: ${reason}`);
  look.again(Math.min(POLL_MS, plan.deadlineMs - look.elapsedMs));
  return false;
}

function* start(look: Look): Asking<Verdict> {
  look.tell('Normal', 'Started', `Starting canary analysis for ${look.targetWho}`);
  const refusal = yield* hooks(look, 'pre-rollout');
  if (refusal !== undefined) return { kind: 'bad', note: `Halt ${look.who} advancement ${refusal.note}` };
  // Said once: a gate that holds the first step does not have them run again.
  look.set({ analysisStarted: true });
  return yield* goOn(look);
}

function* goOn(look: Look): Asking<Verdict> {
  // Nothing to measure before the first step, or when a process ended before it had given an A/B test its requests.
  const { plan, progress, weight } = look;
  if (weight === 0 && (progress.iterations === 0 || plan.strategy.kind === 'ab')) return { kind: 'good' };
  const refusal = yield* hooks(look, 'rollout');
  if (refusal !== undefined) return { kind: 'bad', note: `Halt ${look.who} advancement ${refusal.note}` };
  return yield* measure(look);
}

/** A look that was not good. Saying nothing is not failing, but a run cannot say nothing for ever. */
function count(look: Look, verdict: Exclude<Verdict, { kind: 'good' }>): void {
  const { progress, plan } = look;
  look.tell('Warning', verdict.kind === 'bad' ? 'Halted' : 'Inconclusive', verdict.note);
  look.again(plan.intervalMs);
  if (verdict.kind === 'silent') {
    const inconclusiveChecks = progress.inconclusiveChecks + 1;
    look.step({ inconclusiveChecks });
    if (plan.inconclusiveLimit > 0 && inconclusiveChecks >= plan.inconclusiveLimit)
      rollBack(look, `${inconclusiveChecks} looks in a row said nothing: ${verdict.note}`);
    return;
  }
  const failedChecks = progress.failedChecks + 1;
  look.step({ failedChecks });
  if (failedChecks >= plan.threshold)
    rollBack(look, `failed checks threshold reached ${failedChecks}: ${verdict.note}`);
}
