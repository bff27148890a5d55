// ConfigMaps and Secrets that the pods use: which they are, the primary's copies, and a template that names the copies.
import type { RawObject } from '../../../kube/index.ts';
import { SECRETS } from '../../../kube/index.ts';
import { record, records, text } from '../deployment.ts';
import type { TrackedConfig } from '../observed.ts';
import { CONFIG_MAPS } from '../types.ts';
import { objectOf, ownedMeta, type Subject } from './subject.ts';

type Json = Readonly<Record<string, unknown>>;

export interface ConfigReference {
  readonly kind: TrackedConfig['kind'];
  readonly name: string;
}

/** Each once, in a fixed order. */
export function configReferences(template: Json): readonly ConfigReference[] {
  const found = new Map<string, ConfigReference>();
  renamed(template, reference => {
    found.set(`${reference.kind}/${reference.name}`, reference);
    return reference.name;
  });
  return [...found.values()].toSorted((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

/** The template with other names in all places where it names a ConfigMap or Secret. */
export function renamed(template: Json, nameFor: (reference: ConfigReference) => string): Json {
  const spec = record(template['spec']);
  const at = (holder: Json, field: string, kind: TrackedConfig['kind'], key: 'name' | 'secretName' = 'name'): Json => {
    const value = record(holder[field]);
    const name = text(value[key]);
    return name === '' ? holder : { ...holder, [field]: { ...value, [key]: nameFor({ kind, name }) } };
  };
  const both = (holder: Json, configMap: string, secret: string): Json =>
    at(at(holder, configMap, 'ConfigMap'), secret, 'Secret');
  const volume = (given: Json): Json => {
    const simple = at(at(given, 'configMap', 'ConfigMap'), 'secret', 'Secret', 'secretName');
    const projected = record(simple['projected']);
    if (projected['sources'] === undefined) return simple;
    const sources = records(projected['sources']).map(source => both(source, 'configMap', 'secret'));
    return { ...simple, projected: { ...projected, sources } };
  };
  const container = (given: Json): Json => ({
    ...given,
    ...(given['envFrom'] === undefined
      ? {}
      : { envFrom: records(given['envFrom']).map(from => both(from, 'configMapRef', 'secretRef')) }),
    ...(given['env'] === undefined ? {} : { env: records(given['env']).map(variable) }),
  });
  return {
    ...template,
    spec: {
      ...spec,
      ...lists(spec, 'volumes', volume),
      ...lists(spec, 'initContainers', container),
      ...lists(spec, 'containers', container),
    },
  };

  function variable(given: Json): Json {
    if (given['valueFrom'] === undefined) return given;
    return { ...given, valueFrom: both(record(given['valueFrom']), 'configMapKeyRef', 'secretKeyRef') };
  }
}

const lists = (spec: Json, field: string, change: (item: Json) => Json): Json =>
  spec[field] === undefined ? {} : { [field]: records(spec[field]).map(change) };

export const copyName = (name: string): string => `${name}-primary`;

/** The primary's copy as it should be. It is never immutable: the next promotion must be able to change it. */
export function configCopy(subject: Subject, { kind, name, raw }: TrackedConfig): RawObject {
  const metadata = ownedMeta(subject, copyName(name));
  const content = Object.fromEntries(
    ['data', 'binaryData'].filter(field => raw[field] !== undefined).map(field => [field, raw[field]]),
  );
  if (kind === 'ConfigMap') return objectOf(CONFIG_MAPS, metadata, content);
  return objectOf(SECRETS, metadata, { ...content, type: raw['type'] ?? 'Opaque' });
}
