// The TrafficSplit, which alone says how much goes where.
import { type Condition, isRecord, type RawObject } from '../../kube/index.ts';
import { record, records, specOf, text } from './deployment.ts';

/** The canary's share in percent; 0 where there is no split of ours. */
export function weightOf(split: RawObject | undefined, apex: string): number {
  const weights = records(specOf(split)['backends']).map(({ service, weight }) => ({
    service: text(service),
    weight: Number(weight),
  }));
  const canary = weights.find(({ service }) => service === `${apex}-canary`)?.weight ?? 0;
  const all = weights.reduce((sum, { weight }) => sum + weight, 0);
  return all > 0 && canary > 0 ? Math.round((canary * 100) / all) : 0;
}

/** Whether every proxy has what the split says now; otherwise why not. */
export function inForce(
  split: RawObject | undefined,
): { readonly ok: true } | { readonly ok: false; readonly why: string } {
  if (split === undefined) return { ok: false, why: 'there is no TrafficSplit' };
  const conditions = records(record(split['status'])['conditions']) as unknown as readonly Condition[];
  for (const type of ['Accepted', 'ResolvedRefs', 'Programmed']) {
    const condition = conditions.find(candidate => candidate.type === type);
    if (condition === undefined || condition.observedGeneration !== split.metadata['generation'])
      return { ok: false, why: `its condition ${type} does not speak of the newest generation yet` };
    // A Service of a user may have ports that the two versions' Services have not: on those its own endpoints, the primary's, serve.
    if (condition.status !== 'True' && condition.reason !== 'PortMismatch')
      return { ok: false, why: `${type}: ${condition.reason}: ${condition.message}` };
  }
  return { ok: true };
}

/** Whether an object is this Canary's: others' are left alone. */
export function isOwnedBy(object: RawObject, uid: string): boolean {
  const owners = object.metadata['ownerReferences'];
  return Array.isArray(owners) && owners.some(owner => isRecord(owner) && owner['uid'] === uid);
}
