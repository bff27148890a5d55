import type { Condition } from '../condition.ts';
import type { CustomObject } from '../snapshot.ts';
import type { Identified } from './meta.ts';
import { record, records, text, whole, word } from './read.ts';

/** One of our kinds; `spec` is kept as it is and judged by compile's parse stage. */
export function decodeCustom({ key, meta }: Identified, raw: unknown): CustomObject {
  const object = record(raw);
  return {
    key,
    apiVersion: text(object['apiVersion']),
    kind: text(object['kind']),
    meta,
    spec: object['spec'] ?? {},
    conditions: records(record(object['status'])['conditions']).map(
      (condition): Condition => ({
        type: text(condition['type']),
        status: word(condition['status'], ['True', 'False', 'Unknown'] as const, 'Unknown'),
        reason: text(condition['reason']),
        message: text(condition['message']),
        observedGeneration: whole(condition['observedGeneration']),
        lastTransitionTime: text(condition['lastTransitionTime']),
      }),
    ),
  };
}
