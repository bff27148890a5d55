// Kubernetes objects as they come off the wire, looked at with care: nothing about them is taken for granted.
import { type ObjectKey, objectKey } from '../kernel/index.ts';
import type { ResourceType } from './resource-type.ts';

export interface RawMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** An object to write, or one that was read. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: RawMeta;
  readonly [field: string]: unknown;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface Identity {
  readonly key: ObjectKey;
  readonly resourceVersion: string;
}

/** Undefined when the object has no name. */
export function identityOf(type: ResourceType, raw: unknown): Identity | undefined {
  const metadata = isRecord(raw) ? raw['metadata'] : undefined;
  if (!isRecord(metadata)) return undefined;
  const { name, namespace = '', resourceVersion = '' } = metadata;
  if (typeof name !== 'string' || name === '' || typeof namespace !== 'string' || typeof resourceVersion !== 'string')
    return undefined;
  return { key: objectKey({ group: type.group, kind: type.kind, namespace, name }), resourceVersion };
}

/**
 * The object as read, without managedFields (often half of its size). Items of a list carry neither apiVersion nor kind in the Kubernetes API,
 * so they are added. For kinds of which a whole object must be kept; everything else is trimmed by its own decoder.
 */
export function wholeObject(type: ResourceType, raw: unknown): RawObject | undefined {
  if (identityOf(type, raw) === undefined || !isRecord(raw)) return undefined;
  const { managedFields: _dropped, ...metadata } = raw['metadata'] as RawMeta & { managedFields?: unknown };
  return {
    ...raw,
    apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
    kind: type.kind,
    metadata,
  };
}

/** Removes, in place, what nobody reads and what can be half of an object: managedFields and kubectl's copy of the whole manifest. */
export function dropBulk(raw: unknown): void {
  const metadata = isRecord(raw) ? raw['metadata'] : undefined;
  if (!isRecord(metadata)) return;
  const writable = metadata as Record<string, unknown>;
  delete writable['managedFields'];
  const { annotations } = metadata;
  if (isRecord(annotations))
    delete (annotations as Record<string, unknown>)['kubectl.kubernetes.io/last-applied-configuration'];
}
