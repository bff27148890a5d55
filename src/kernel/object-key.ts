import { type Result, err, ok } from './result.ts';

declare const brand: unique symbol;

/** `group/Kind/namespace/name`; the group of core/v1 and the namespace of cluster-scoped objects are empty. */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

export interface ObjectName {
  /** Empty for core/v1. */
  readonly group: string;
  readonly kind: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
}

export function objectKey(object: ObjectName): ObjectKey {
  return `${object.group}/${object.kind}/${object.namespace}/${object.name}` as ObjectKey;
}

/** The inverse of {@link objectKey}; no part of a Kubernetes name can hold a slash. */
export function parseObjectKey(text: string): Result<ObjectName, string> {
  const [group, kind, namespace, name, ...rest] = text.split('/');
  if (group === undefined || namespace === undefined || !kind || !name || rest.length > 0) {
    return err(`"${text}" is not of the form group/Kind/namespace/name`);
  }
  return ok({ group, kind, namespace, name });
}

/** The parts of a key that was made by {@link objectKey}. */
export function nameOf(key: ObjectKey): ObjectName {
  const [group = '', kind = '', namespace = '', name = ''] = key.split('/');
  return { group, kind, namespace, name };
}

/** For people: `Server demo/http`, `MeshConfig default`. */
export function displayName(object: ObjectName): string {
  return object.namespace === ''
    ? `${object.kind} ${object.name}`
    : `${object.kind} ${object.namespace}/${object.name}`;
}

/** `namespace/name`: for people, where the kind goes without saying. */
export function namespacedName(key: ObjectKey): string {
  const { namespace, name } = nameOf(key);
  return `${namespace}/${name}`;
}

export function podKey(namespace: string, name: string): ObjectKey {
  return objectKey({ group: '', kind: 'Pod', namespace, name });
}

export function serviceKey(namespace: string, name: string): ObjectKey {
  return objectKey({ group: '', kind: 'Service', namespace, name });
}

export function namespaceKey(name: string): ObjectKey {
  return objectKey({ group: '', kind: 'Namespace', namespace: '', name });
}

export function nodeKey(name: string): ObjectKey {
  return objectKey({ group: '', kind: 'Node', namespace: '', name });
}

export function meshConfigKey(name: string): ObjectKey {
  return objectKey({ group: 'weft.dev', kind: 'MeshConfig', namespace: '', name });
}
