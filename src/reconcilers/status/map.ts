// Which objects' statuses may have changed.
import type { ObjectKey } from '../../kernel/index.ts';
import type { StatusPlan } from '../../model/index.ts';

type Plans = ReadonlyMap<ObjectKey, StatusPlan>;

function samePlan(left: StatusPlan | undefined, right: StatusPlan): boolean {
  return (
    left !== undefined &&
    left.observedGeneration === right.observedGeneration &&
    left.conditions.length === right.conditions.length &&
    left.conditions.every((condition, index) => {
      const other = right.conditions[index];
      return (
        condition.type === other?.type &&
        condition.status === other.status &&
        condition.reason === other.reason &&
        condition.message === other.message
      );
    })
  );
}

/** Objects that one publication judges otherwise than the one before. Endpoint churn touches none. */
export function changedPlans(before: Plans, after: Plans): readonly ObjectKey[] {
  return [...after].filter(([key, plan]) => !samePlan(before.get(key), plan)).map(([key]) => key);
}
