// Everything that the status of one object depends on.
import type { ObjectKey } from '../../kernel/index.ts';
import type { Condition, CustomObject, Holders, ProxyRegistry, StatusPlan } from '../../model/index.ts';

export interface StatusInput {
  readonly object: CustomObject;
  /** Of the last publication. */
  readonly plan: StatusPlan;
  readonly holders: Holders;
  readonly stored: readonly Condition[];
}

export interface GatherPorts {
  readonly object: (key: ObjectKey) => CustomObject | undefined;
  readonly plan: (key: ObjectKey) => StatusPlan | undefined;
  readonly registry: Pick<ProxyRegistry, 'holders'>;
}

/** Undefined when the object is gone, or has not been compiled at its present generation: the next publication brings it back. */
export function gather(key: ObjectKey, ports: GatherPorts): StatusInput | undefined {
  const object = ports.object(key);
  const plan = ports.plan(key);
  if (object === undefined || plan === undefined || plan.observedGeneration < object.meta.generation) return undefined;
  return { object, plan, holders: ports.registry.holders(key), stored: object.conditions };
}
