// Deployments as far as a Canary looks at them.
import { isRecord, type RawObject } from '../../kube/index.ts';

type Json = Readonly<Record<string, unknown>>;

export const record = (value: unknown): Json => (isRecord(value) ? value : {});
export const records = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.filter(isRecord) : []);
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const whole = (value: unknown, absent = 0): number => (Number.isInteger(value) ? (value as number) : absent);

export function textMap(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(record(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}

export const specOf = (object: RawObject | undefined): Json => record(object?.['spec']);
export const templateOf = (object: RawObject | undefined): Json => record(specOf(object)['template']);
export const matchLabelsOf = (object: RawObject | undefined): Readonly<Record<string, string>> =>
  textMap(record(specOf(object)['selector'])['matchLabels']);
export const replicasOf = (object: RawObject | undefined): number => whole(specOf(object)['replicas'], 1);

/** Every container of the pods, those that run first included. */
export function containersOf(template: Json): readonly Json[] {
  const spec = record(template['spec']);
  return [...records(spec['initContainers']), ...records(spec['containers'])];
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, for people. */
  readonly reason: string;
  readonly available: number;
}

/** Whether the pods are those of the newest template, and enough of them available. */
export function readinessOf(deployment: RawObject | undefined, percent: number): Readiness {
  if (deployment === undefined) return { ready: false, reason: 'it does not exist', available: 0 };
  const status = record(deployment['status']);
  const generation = whole(deployment.metadata['generation']);
  const available = whole(status['availableReplicas']);
  if (whole(status['observedGeneration']) < generation)
    return { ready: false, reason: 'its new generation has not been observed yet', available };
  const desired = replicasOf(deployment);
  const updated = whole(status['updatedReplicas']);
  const total = whole(status['replicas']);
  const wanted = Math.floor((updated * percent) / 100);
  const reason =
    updated < desired
      ? `${updated} of ${desired} pods are of the new revision`
      : total > updated
        ? `${total - updated} pods of the old revision are still there`
        : available < Math.max(wanted, desired === 0 ? 0 : 1)
          ? `${available} of ${updated} pods are available`
          : '';
  return { ready: reason === '', reason, available };
}
