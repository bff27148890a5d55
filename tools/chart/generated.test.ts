import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ensureComponent } from '../components/build.ts';
import { helmTemplate, type Manifest, manifests } from './helm.ts';
import { chartOutOfDate } from './index.ts';
import { withoutHelm } from './kustomize.ts';
import { schemaOf } from './readme.ts';
import { readValues } from './values.ts';

test('what is generated is up to date; if not: npm run gen', async () => {
  expect(await chartOutOfDate(false)).toEqual([]);
});

test('kustomize builds the objects that Helm renders with default values, and the namespace', async () => {
  const fromHelm = byName(manifests(await helmTemplate()).map(withoutHelm));
  const fromKustomize = byName(await kustomize('config/default'));
  expect(fromKustomize.get('v1 Namespace /weft-system')).toBeDefined();
  fromKustomize.delete('v1 Namespace /weft-system');
  // The definitions come straight from crds/: the chart labels its own.
  const labels = (objects: Map<string, Manifest>) => [...objects].map(([name, object]) => [name, comparable(object)]);
  expect(Object.fromEntries(labels(fromKustomize))).toEqual(Object.fromEntries(labels(fromHelm)));
});

test('kustomize builds the CNI plugin that Helm renders when asked', async () => {
  const fromHelm = byName(manifests(await helmTemplate('--set=cni.enabled=true')).map(withoutHelm));
  const fromKustomize = byName(await kustomize('config/cni'));
  expect([...fromKustomize.keys()].toSorted()).toEqual([
    'apps/v1 DaemonSet weft-system/weft-cni',
    'v1 ServiceAccount weft-system/weft-cni',
  ]);
  for (const [name, object] of fromKustomize) expect(object).toEqual(fromHelm.get(name));
});

test('kustomize builds the controller of Canaries that Helm renders when asked', async () => {
  const fromHelm = byName(manifests(await helmTemplate('--set=canary.enabled=true')).map(withoutHelm));
  const fromKustomize = byName(await kustomize('config/canary'));
  expect([...fromKustomize.keys()].toSorted()).toEqual([
    'apps/v1 Deployment weft-system/weft-canary',
    'rbac.authorization.k8s.io/v1 ClusterRole /weft-canary',
    'rbac.authorization.k8s.io/v1 ClusterRoleBinding /weft-canary',
    'rbac.authorization.k8s.io/v1 Role weft-system/weft-canary-lease',
    'rbac.authorization.k8s.io/v1 RoleBinding weft-system/weft-canary-lease',
    'v1 ServiceAccount weft-system/weft-canary',
  ]);
  for (const [name, object] of fromKustomize) expect(object).toEqual(fromHelm.get(name));
});

test('a value without a description is refused, and its place is named', () => {
  expect(() => readValues('a:\n  # -- Told.\n  b: 1\n  c: 2\n')).toThrow('a.c has no description');
});

test('the schema admits what is declared, below a section nothing else', () => {
  const values = readValues('a:\n  # -- Told.\n  # @schema {"minimum": 1}\n  b: 1\n# -- Free.\nc: {}\n');
  expect(values.map(({ path, description }) => [path, description])).toEqual([
    ['a.b', 'Told.'],
    ['c', 'Free.'],
  ]);
  expect(schemaOf(values).properties).toMatchObject({
    a: { additionalProperties: false, properties: { b: { type: 'integer', minimum: 1 } } },
    c: { type: 'object' },
  });
  expect(schemaOf(values).properties?.['c']?.additionalProperties).toBeUndefined();
});

async function kustomize(folder: string): Promise<Manifest[]> {
  const kubectl = join(await ensureComponent('kubernetes'), '../kubectl');
  const { stdout } = await promisify(execFile)(kubectl, ['kustomize', join(import.meta.dirname, '../..', folder)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return manifests(stdout);
}

function byName(objects: readonly Manifest[]): Map<string, Manifest> {
  const names = objects.map(
    ({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`,
  );
  expect(new Set(names).size).toBe(names.length);
  return new Map(objects.map((object, index) => [names[index] ?? '', object]));
}

function comparable(object: Manifest): Manifest {
  if (object.kind !== 'CustomResourceDefinition') return object;
  const labels = Object.fromEntries(
    Object.entries(object.metadata.labels ?? {}).filter(([name]) => !name.startsWith('app.kubernetes.io/')),
  );
  return { ...object, metadata: { ...object.metadata, labels } };
}
