import type { Condition, ConditionPlan, Holders, StatusPlan } from '../model/index.ts';
import type { Reason } from './reasons.ts';

/** Proxies or resources that one message names. */
const SHOWN = 5;

/** All conditions of one object as they are to be written; equal to `previous` when there is nothing to write. */
export function conditionsOf(
  plan: StatusPlan,
  seen: { readonly holders: Holders; readonly previous: readonly Condition[]; readonly nowMs: number },
): readonly Condition[] {
  const { observedGeneration } = plan;
  const before = seen.previous.find(({ type }) => type === 'Programmed');
  const all = [...plan.conditions, programmed(seen.holders, observedGeneration, before)];
  return [...all, ready(all)].reduce(
    (conditions, condition) => setCondition(conditions, { ...condition, observedGeneration }, seen.nowMs),
    seen.previous,
  );
}

/**
 * Whether the proxies that need the object have it. Silent proxies are named, but block nothing. Once a generation is programmed it stays so: that
 * proxies come, or that other objects change, is told in the message only.
 */
export function programmed(holders: Holders, generation: number, previous: Condition | undefined): ConditionPlan {
  const type = 'Programmed';
  const { total, ready: acknowledged, silent, tooLarge = [] } = holders;
  if (tooLarge.length > 0) {
    return { type, status: 'False', reason: 'TooLarge' satisfies Reason, message: tooLarge.slice(0, SHOWN).join(' ') };
  }
  if (total === 0)
    return { type, status: 'True', reason: 'NoProxyNeedsIt' satisfies Reason, message: 'No proxy needs it.' };
  const count = `${acknowledged}/${total} proxies at generation ${generation}`;
  const message = silent.length === 0 ? `${count}.` : `${count}; silent: ${namesOf(silent)}.`;
  const reached = acknowledged + silent.length >= total;
  const kept =
    previous?.status === 'True' && previous.observedGeneration === generation && previous.reason !== 'NoProxyNeedsIt';
  return reached || kept
    ? { type, status: 'True', reason: 'Programmed' satisfies Reason, message }
    : { type, status: 'False', reason: 'Pending' satisfies Reason, message };
}

/** True when all others are; otherwise it says what the first of them says. */
export function ready(conditions: readonly ConditionPlan[]): ConditionPlan {
  const blocking =
    conditions.find(({ status }) => status === 'False') ?? conditions.find(({ status }) => status !== 'True');
  if (blocking === undefined) return { type: 'Ready', status: 'True', reason: 'Ready' satisfies Reason, message: '' };
  return { ...blocking, type: 'Ready' };
}

/** Replaces the condition of the same type, or adds it; the time of the last transition changes only when the status does. */
export function setCondition(
  conditions: readonly Condition[],
  next: ConditionPlan & { readonly observedGeneration: number },
  nowMs: number,
): readonly Condition[] {
  const before = conditions.find(({ type }) => type === next.type);
  const now = new Date(nowMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
  const lastTransitionTime = before?.status === next.status ? before.lastTransitionTime : now;
  const condition: Condition = { ...next, lastTransitionTime };
  return before === undefined
    ? [...conditions, condition]
    : conditions.map(existing => (existing === before ? condition : existing));
}

function namesOf(silent: readonly string[]): string {
  const rest = silent.length - SHOWN;
  return silent.slice(0, SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
