import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { crdOf, KINDS, meshConfig, schemaOf, server, trafficSplit, validateSpec } from './index.ts';

type Json = Readonly<Record<string, unknown>>;

const ALLOWED = new Set([
  'type',
  'description',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'enum',
  'default',
  'pattern',
  'format',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'oneOf',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
]);

/** Every schema below this one, with its path. */
function* below(schema: Json, path: string): Generator<readonly [string, Json]> {
  yield [path, schema];
  for (const [name, property] of Object.entries((schema['properties'] ?? {}) as Json))
    yield* below(property as Json, `${path}.${name}`);
  for (const inner of ['items', 'additionalProperties'])
    if (schema[inner] !== undefined) yield* below(schema[inner] as Json, `${path}[]`);
}

describe.each(KINDS.map(kind => [kind.kind, kind] as const))('%s', (_, definition) => {
  const schemas = [...below(schemaOf(definition) as Json, '')];
  const ours = schemas.filter(([path]) => path.startsWith('.spec') || path.startsWith('.status'));

  it('says only what a structural schema may say', () => {
    for (const [path, schema] of schemas) {
      expect(
        Object.keys(schema).filter(keyword => !ALLOWED.has(keyword)),
        path,
      ).toEqual([]);
      const untyped =
        schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
      expect(typeof schema['type'], path).toBe(untyped ? 'undefined' : 'string');
      expect(schema['properties'] !== undefined && schema['additionalProperties'] !== undefined, path).toBe(false);
      for (const branch of (schema['oneOf'] ?? []) as Json[]) expect(Object.keys(branch), path).toEqual(['required']);
    }
  });

  it('describes every field', () => {
    for (const [path, schema] of ours.filter(([path]) => !path.endsWith('[]')))
      expect(schema['description'], path).toEqual(expect.any(String));
  });

  it('bounds every list', () => {
    const lists = ours.filter(([, schema]) => schema['type'] === 'array');
    expect(lists.filter(([, schema]) => typeof schema['maxItems'] !== 'number').map(([path]) => path)).toEqual([]);
  });

  it('requires nothing that has a default', () => {
    for (const [path, schema] of schemas) {
      const properties = (schema['properties'] ?? {}) as Record<string, Json>;
      for (const name of (schema['required'] ?? []) as string[])
        expect(properties[name], `${path}.${name}`).not.toHaveProperty('default');
    }
  });

  it('accepts its own example', () => {
    const example = parse(definition.example) as Json;
    expect(example['kind']).toBe(definition.kind);
    expect(definition.versions.map(version => `${definition.group}/${version.name}`)).toContain(example['apiVersion']);
    expect(validateSpec(definition, example['spec'])).toMatchObject({ ok: true });
  });

  it('stores exactly one version, and gives all of them one schema', () => {
    const versions = (crdOf(definition) as { spec: { versions: Json[] } }).spec.versions;
    expect(versions.filter(version => version['storage'] === true)).toHaveLength(1);
    expect(new Set(versions.map(version => JSON.stringify(version['schema']))).size).toBe(1);
    expect(versions.every(version => JSON.stringify(version['subresources']) === '{"status":{}}')).toBe(true);
  });
});

describe('validateSpec', () => {
  it('fills in defaults without touching what it was given', () => {
    const given = { port: 80, podSelector: {} };
    expect(validateSpec(server, given)).toEqual({
      ok: true,
      value: { port: 80, podSelector: {}, proxyProtocol: 'unknown', accessPolicy: 'deny' },
    });
    expect(given).toEqual({ port: 80, podSelector: {} });
    expect(validateSpec(meshConfig, undefined)).toMatchObject({
      ok: true,
      value: { identity: { mode: 'CertManager', leafDuration: '24h' } },
    });
  });

  it('names field, fault and what was found', () => {
    const spec = {
      service: 'a',
      backends: [{ service: 'b', weight: 1 }, { service: 'c', weight: 1.5 }, { weight: 1 }],
    };
    expect(validateSpec(trafficSplit, spec)).toEqual({
      ok: false,
      error: [
        { path: 'spec.backends[1].weight', message: 'must be a whole number or a text; found 1.5' },
        { path: 'spec.backends[2].service', message: 'is required' },
      ],
    });
  });

  it('says which fields exclude each other', () => {
    expect(validateSpec(server, { port: 80 })).toEqual({
      ok: false,
      error: [{ path: 'spec', message: 'must have exactly one of podSelector and externalWorkloadSelector' }],
    });
  });
});

describe('the names of fields', () => {
  // kubectl reads YAML 1.1, to which these are booleans: `on: [x]` would arrive as `true: [x]`.
  const BOOLEANS = /^(y|n|yes|no|on|off|true|false)$/i;
  const names = (schema: unknown): readonly string[] => {
    if (schema === null || typeof schema !== 'object') return [];
    const properties = (schema as { properties?: Record<string, unknown> }).properties ?? {};
    return [...Object.keys(properties), ...Object.values(schema).flatMap(names)];
  };

  it.each(KINDS.map(kind => [kind.kind, kind] as const))('of %s are no booleans to kubectl', (_, kind) => {
    const all = names(kind.spec);
    expect(all.length).toBeGreaterThan(0);
    expect(all.filter(name => BOOLEANS.test(name))).toEqual([]);
  });
});
