// The conditions of one object. Pure.
import { programmed, ready } from '../../compile/index.ts';
import type { ConditionPlan, StatusPlan } from '../../model/index.ts';
import type { StatusInput } from './gather.ts';

/** Written by the mesh-config reconciler; a mesh that cannot sign is not ready. */
const ISSUER_READY = 'IssuerReady';

export function decide({ plan, holders, stored }: StatusInput): StatusPlan {
  const { observedGeneration } = plan;
  const before = stored.find(({ type }) => type === 'Programmed');
  const own: ConditionPlan[] = [...plan.conditions, programmed(holders, observedGeneration, before)];
  const others = stored.filter(({ type }) => type === ISSUER_READY);
  return { observedGeneration, conditions: [...own, ready([...own, ...others])] };
}
