import { compareText, nameOf, type ObjectKey } from '../../kernel/index.ts';
import type { CustomObject, Label, ObjectMeta, Origin, PodOwner, Ref } from '../../model/index.ts';

/** Kinds are lower case here, because they end up as metric labels. */
export function refOf(key: ObjectKey, port = 0): Ref {
  const { group, kind, namespace, name } = nameOf(key);
  return { group, kind: kind.toLowerCase(), namespace, name, port };
}

/** A rule that no object stands behind. */
export function defaultRef(name: string): Ref {
  return { group: '', kind: 'default', namespace: '', name, port: 0 };
}

/** Each object once, in key order. */
export function originsOf(objects: Iterable<CustomObject>): readonly Origin[] {
  const unique = new Map([...objects].map(({ key, meta }) => [key, { key, generation: meta.generation }]));
  return [...unique.values()].toSorted((left, right) => compareText(left.key, right.key));
}

/** Sorted by name; empty values are left out. */
export function labelsOf(values: Readonly<Record<string, string>>): readonly Label[] {
  return Object.entries(values)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => ({ name, value }))
    .toSorted((left, right) => compareText(left.name, right.name));
}

/** `deployment`, `statefulset`, ...; a Job is `k8s_job`, because `job` has a meaning of its own in Prometheus. */
export function ownerLabel(owner: PodOwner | undefined, prefix = ''): Readonly<Record<string, string>> {
  if (owner === undefined) return {};
  const kind = owner.kind === 'Job' ? 'k8s_job' : owner.kind.toLowerCase();
  return { [`${prefix}${kind}`]: owner.name };
}

export function serviceLabels(meta: ObjectMeta): readonly Label[] {
  return labelsOf({ dst_namespace: meta.namespace, dst_service: meta.name });
}
