// What to do about a Canary: one function of what was found, the time, and what others answer while it asks. It keeps nothing.
//
// Phases and what moves them:
//   Initializing      primary and Services are made; then the route; then the target is scaled to zero        -> Initialized
//   Initialized, Succeeded, Failed   at rest; a new revision of the target, confirmed by confirm-rollout       -> Progressing | Waiting
//   Waiting           confirm-rollout has not passed; asked again every interval                               -> Progressing | Succeeded
//   Progressing       one look each interval: hooks, metrics, next share                                       -> Promoting | WaitingPromotion | Failed
//   WaitingPromotion  as Progressing, at the last share, until confirm-promotion passes                        -> Promoting | Failed
//   Promoting         the primary gets the judged template; when its pods are ready, traffic goes to it        -> Finalising | Failed
//   Finalising        when the proxies have the route and the canary is drained, it is scaled to zero          -> Succeeded
//   Terminating       (deletion with revertOnDeletion) the target serves again, then the finalizer goes
// A Canary that is suspended, or not valid, or whose target is missing is left as it is.
import { AppError } from '../../kernel/index.ts';
import type { Asking } from './ask.ts';
import { conditionsOf, notAccepted } from './conditions.ts';
import { tellingLabel } from './desired/subject.ts';
import type { Fault } from './fault.ts';
import { createLook, type Look, unchanged } from './look.ts';
import type { Decision, Observed, Phase } from './observed.ts';
import { analyse } from './phases/analyse.ts';
import { initialise } from './phases/initialise.ts';
import { finalise, promote } from './phases/promote.ts';
import { rest } from './phases/rest.ts';
import { REVERT, terminate } from './phases/terminate.ts';
import type { CanaryPlan } from './plan.ts';
import { isOwnedBy } from './route.ts';

const PHASES: Readonly<Record<Phase, (look: Look) => Asking<void>>> = {
  '': initialise,
  Initializing: initialise,
  Initialized: rest,
  Succeeded: rest,
  Failed: rest,
  Waiting: rest,
  Progressing: analyse,
  WaitingPromotion: analyse,
  Promoting: promote,
  Finalising: finalise,
  Terminating: rest,
  Terminated: rest,
};

export function* decide(observed: Observed, nowMs: number): Asking<Decision> {
  const { canary, target } = observed;
  const held = canary.finalizers.includes(REVERT);
  if (!canary.plan.ok) {
    const decision = refused(observed, 'Invalid', faultsText(canary.plan.error));
    // Nobody could say what to give back.
    return canary.deleting && held ? { ...decision, finalizers: withoutRevert(observed) } : decision;
  }
  const plan = canary.plan.value;
  if (canary.deleting) {
    if (!held) return unchanged(canary, conditionsOf(canary.progress.phase, canary.conditions));
    if (target === undefined) return { ...unchanged(canary, []), finalizers: withoutRevert(observed) };
    const look = createLook({ observed, plan, target, nowMs });
    terminate(look);
    return look.decision();
  }
  if (plan.suspend) return unchanged(canary, conditionsOf(canary.progress.phase, canary.conditions));
  const trouble = troubleOf(observed, plan);
  if (trouble !== undefined) return refused(observed, ...trouble);
  if (target === undefined) throw new AppError('internal', 'a target that is missing is trouble');
  const look = createLook({ observed, plan, target, nowMs });
  if (plan.revertOnDeletion !== held)
    look.finalizers(plan.revertOnDeletion ? [...canary.finalizers, REVERT] : withoutRevert(observed));
  yield* PHASES[canary.progress.phase](look);
  return look.decision();
}

const withoutRevert = ({ canary }: Observed): readonly string[] => canary.finalizers.filter(name => name !== REVERT);

const faultsText = (faults: readonly Fault[]): string =>
  faults.map(({ path, message }) => `${path} ${message}`).join('; ');

/** What keeps a valid Canary from being acted on. */
function troubleOf(observed: Observed, plan: CanaryPlan): readonly [string, string] | undefined {
  const { canary, target, services, primary, split, routeGroup, autoscaler, primaryAutoscaler } = observed;
  if (target === undefined)
    return [
      'TargetNotFound',
      `Deployment ${plan.target} does not exist (yet); create it, or correct spec.targetRef.name`,
    ];
  if (tellingLabel(target) === undefined)
    return ['UnsupportedSelector', `Deployment ${plan.target} selects its pods by no label (matchLabels); give it one`];
  const foreign = [primary, services.primary, services.canary, split, routeGroup, primaryAutoscaler].find(
    object => object !== undefined && !isOwnedBy(object, canary.uid),
  );
  if (foreign !== undefined)
    return [
      'Conflicted',
      `${foreign.kind} ${foreign.metadata.name} exists and is not of this Canary; delete it, or choose another spec.service.name`,
    ];
  if (plan.autoscaler !== undefined && autoscaler === undefined)
    return [
      'AutoscalerNotFound',
      `HorizontalPodAutoscaler ${plan.autoscaler.name} does not exist (yet); create it, or leave spec.autoscalerRef out`,
    ];
  return undefined;
}

function refused({ canary }: Observed, reason: string, message: string): Decision {
  const { phase } = canary.progress;
  const conditions = conditionsOf(phase, canary.conditions, notAccepted(reason, message));
  const known = canary.conditions.find(({ type }) => type === 'Accepted');
  const news = known?.status !== 'False' || known.reason !== reason || known.message !== message;
  const events = news ? [{ type: 'Warning' as const, reason, action: 'Validate', note: message }] : [];
  return { ...unchanged(canary, conditions, RETRY_MS), events };
}

/** Watches tell of most of what can change; this is for the rest. */
const RETRY_MS = 30_000;
