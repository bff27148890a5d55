/** `metav1.Condition`. */
export interface Condition extends ConditionPlan {
  readonly observedGeneration: number;
  /** RFC 3339, UTC, whole seconds. */
  readonly lastTransitionTime: string;
}

/** What compile decides of a condition; the time is added where it is written. */
export interface ConditionPlan {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, never empty. */
  readonly reason: string;
  readonly message: string;
}

export interface StatusPlan {
  readonly observedGeneration: number;
  /** In the order in which they are shown. */
  readonly conditions: readonly ConditionPlan[];
}
