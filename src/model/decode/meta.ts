import { type ObjectKey, type Problem, type Result, err, objectKey, ok } from '../../kernel/index.ts';
import type { ObjectMeta } from '../meta.ts';
import { record, text, textMap, timestamp, whole } from './read.ts';

export interface Identified {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
}

/** Metadata of any object; the only way in which decoding fails is an object without a name. */
export function decodeMeta(
  raw: unknown,
  type: { readonly group: string; readonly kind: string },
): Result<Identified, Problem> {
  const metadata = record(record(raw)['metadata']);
  const name = text(metadata['name']);
  const namespace = text(metadata['namespace']);
  const key = objectKey({ ...type, namespace, name });
  if (name === '') {
    return err({
      object: key,
      path: 'metadata.name',
      reason: 'Invalid',
      message: `A ${type.kind} has no metadata.name; give it one.`,
      severity: 'error',
    });
  }
  return ok({
    key,
    meta: {
      name,
      namespace,
      uid: text(metadata['uid']),
      generation: whole(metadata['generation']),
      creationTimestamp: timestamp(metadata['creationTimestamp']),
      labels: textMap(metadata['labels']),
      annotations: textMap(metadata['annotations']),
      resourceVersion: text(metadata['resourceVersion']),
    },
  });
}
