import type { KindDefinition } from './definition.ts';

/** The CustomResourceDefinition of a kind, as plain JSON. */
export function crdOf(definition: KindDefinition): Readonly<Record<string, unknown>> {
  const { group, kind, plural, singular, shortNames, categories, scope } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'weft', 'app.kubernetes.io/part-of': 'weft' },
    },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories },
      scope,
      conversion: { strategy: 'None' },
      versions: definition.versions.map(version => ({
        name: version.name,
        served: true,
        storage: version.storage === true,
        ...(version.deprecated === undefined ? {} : { deprecated: true, deprecationWarning: version.deprecated }),
        additionalPrinterColumns: definition.columns,
        subresources: { status: {} },
        schema: { openAPIV3Schema: schemaOf(definition) },
      })),
    },
  };
}

/** The structural schema of the whole object. */
export function schemaOf(definition: KindDefinition): unknown {
  const schema = {
    type: 'object',
    description: definition.description,
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of this object.' },
      kind: { type: 'string', description: 'Kind of this object.' },
      metadata: { type: 'object' },
      spec: definition.spec,
      status: definition.status,
    },
    ...(definition.specRequired ? { required: ['spec'] } : {}),
  };
  // Through JSON, so that what TypeBox keeps for itself in hidden properties is gone.
  return JSON.parse(JSON.stringify(schema), withoutDefaultedFromRequired);
}

/**
 * What has a default is never absent for us, but a user may leave it out; and the API server judges a `default: {}` before it has filled in the
 * defaults below it, so `required` must not name them.
 */
function withoutDefaultedFromRequired(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  const { properties, required, ...rest } = value as { properties?: Record<string, object>; required?: unknown };
  if (properties === undefined || !Array.isArray(required)) return value;
  const needed = required.filter(name => !('default' in (properties[String(name)] ?? {})));
  return { ...rest, properties, ...(needed.length === 0 ? {} : { required: needed }) };
}
