// metav1.Condition lists: what to write, and when. Pure.

export interface ConditionPlan {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface Condition extends ConditionPlan {
  readonly observedGeneration: number;
  /** RFC 3339, UTC, whole seconds. */
  readonly lastTransitionTime: string;
}

export interface StatusPlan {
  readonly observedGeneration: number;
  readonly conditions: readonly ConditionPlan[];
}

/** Limits of metav1.Condition's schema. */
const MESSAGE_MAX = 32_768;

export function truncateMessage(message: string): string {
  return message.length <= MESSAGE_MAX ? message : `${message.slice(0, MESSAGE_MAX - 1)}…`;
}

/** The time of a condition changes only when its status flips; reason, message and generation may change freely. */
export function setCondition(
  current: Condition | undefined,
  plan: ConditionPlan,
  at: { generation: number; nowMs: number },
): Condition {
  const flipped = current?.status !== plan.status;
  return {
    type: plan.type,
    status: plan.status,
    observedGeneration: at.generation,
    lastTransitionTime: flipped ? new Date(at.nowMs).toISOString().replace(/\.\d+Z$/, 'Z') : current.lastTransitionTime,
    reason: plan.reason,
    message: truncateMessage(plan.message),
  };
}

export type StatusStep =
  /** All is as stored; the conditions are given for whoever has something else to write. */
  | { readonly kind: 'none'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'write'; readonly conditions: readonly Condition[] }
  /** Only texts changed, and the last write was a moment ago. */
  | { readonly kind: 'later'; readonly afterMs: number };

export interface StatusInput {
  readonly plan: StatusPlan;
  /** As stored in the cluster. */
  readonly current: readonly Condition[];
  /** When this object's status was last written by us; undefined when never. */
  readonly lastWriteMs: number | undefined;
  readonly nowMs: number;
  /** Shortest time between two writes that flip nothing. */
  readonly quietMs: number;
}

/** Conditions of other writers on the same object are not looked at: server-side apply keeps them. */
export function planStatus({ plan, current, lastWriteMs, nowMs, quietMs }: StatusInput): StatusStep {
  const stored = new Map(current.map(condition => [condition.type, condition]));
  const at = { generation: plan.observedGeneration, nowMs };
  const conditions = plan.conditions.map(condition => setCondition(stored.get(condition.type), condition, at));
  const same = (left: Condition | undefined, right: Condition): boolean =>
    left !== undefined &&
    left.status === right.status &&
    left.reason === right.reason &&
    left.message === right.message &&
    left.observedGeneration === right.observedGeneration;
  if (conditions.every(condition => same(stored.get(condition.type), condition))) return { kind: 'none', conditions };
  const urgent = conditions.some(condition => {
    const before = stored.get(condition.type);
    return before?.status !== condition.status || before.observedGeneration !== condition.observedGeneration;
  });
  const readyAtMs = (lastWriteMs ?? Number.NEGATIVE_INFINITY) + quietMs;
  if (urgent || nowMs >= readyAtMs) return { kind: 'write', conditions };
  return { kind: 'later', afterMs: readyAtMs - nowMs };
}
