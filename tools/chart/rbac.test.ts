import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { PolicyRule } from '../../src/kube/policy-rule.ts';
import { WATCHED_KINDS } from '../../src/model/kinds.ts';
import { helmTemplate, type Manifest, manifests } from './helm.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

test('the operator may list and watch each kind that compile reads', async () => {
  const rules = await rulesOf('ClusterRole', 'weft-operator');
  for (const { group, plural } of WATCHED_KINDS)
    expect([plural, ...verbsFor(rules, group, plural)]).toEqual([
      plural,
      ...(plural === 'namespaces' ? ['get'] : []),
      'list',
      'watch',
    ]);
});

test('the operator may write the status of those kinds alone whose conditions are its own', async () => {
  const rules = await rulesOf('ClusterRole', 'weft-operator');
  const granted = rules.flatMap(({ apiGroups, resources }) =>
    apiGroups.flatMap(group => resources.map(resource => `${group}/${resource}`)),
  );
  const statuses = granted.filter(name => name.endsWith('/status'));
  const wanted = WATCHED_KINDS.filter(kind => kind.hasConditions).map(
    ({ group, plural }) => `${group}/${plural}/status`,
  );
  expect(statuses.toSorted()).toEqual(wanted.toSorted());
});

test('each part of the operator is granted what it says it needs', async () => {
  const rules = {
    cluster: await rulesOf('ClusterRole', 'weft-operator'),
    'control-namespace': await rulesOf('Role', 'weft-operator'),
  };
  const needs = await declared();
  expect(needs.length).toBeGreaterThan(0);
  const missing = needs.flatMap(({ scope, apiGroups, resources, verbs, resourceNames }) =>
    apiGroups.flatMap(group =>
      resources.flatMap(resource => verbs.map(verb => ({ scope, group, resource, verb, resourceNames }))),
    ),
  );
  expect(missing.filter(need => !rules[need.scope].some(rule => grants(rule, need)))).toEqual([]);
});

test('the chart grants no more than the parts of the operator say they need', async () => {
  const needs = await declared();
  const granted = {
    cluster: await rulesOf('ClusterRole', 'weft-operator'),
    'control-namespace': await rulesOf('Role', 'weft-operator'),
  };
  const rights = Object.entries(granted).flatMap(([scope, rules]) =>
    rules.flatMap(({ apiGroups, resources, verbs, resourceNames }) =>
      apiGroups.flatMap(group =>
        resources.flatMap(resource => verbs.map(verb => ({ scope, group, resource, verb, resourceNames }))),
      ),
    ),
  );
  expect(rights.length).toBeGreaterThan(30);
  const excess = rights.filter(right => !needs.some(need => need.scope === right.scope && grants(need, right)));
  expect(excess).toEqual([]);
});

test('nobody is granted a wildcard, escalation, or a Secret outside of weft-system', async () => {
  const objects = manifests(await helmTemplate());
  const roles = objects.filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
  expect(roles.length).toBeGreaterThanOrEqual(5);
  for (const role of roles) {
    for (const rule of role['rules'] as Rule[]) {
      const words = [...rule.apiGroups, ...rule.resources, ...rule.verbs];
      for (const word of ['*', 'escalate', 'bind', 'impersonate']) expect(words).not.toContain(word);
    }
  }
  const secretRoles = roles.filter(role => (role['rules'] as Rule[]).some(rule => rule.resources.includes('secrets')));
  expect(secretRoles.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`)).toEqual([
    'Role weft-system/weft-operator',
  ]);
});

test('in the whole cluster nothing but statuses, finalizers of our own kind, events, reviews, named ConfigMaps and our webhooks can be written', async () => {
  const writing = (await rulesOf('ClusterRole', 'weft-operator')).filter(({ verbs }) =>
    verbs.some(verb => !['get', 'list', 'watch'].includes(verb)),
  );
  const unnamed = writing
    .filter(rule => rule.resourceNames === undefined)
    .flatMap(({ resources, verbs }) => resources.map(name => ({ name, verbs })));
  const others = unnamed.filter(({ name }) => !name.endsWith('/status') && name !== 'meshconfigs/finalizers');
  expect(others).toEqual([
    { name: 'events', verbs: ['create'] },
    { name: 'configmaps', verbs: ['create'] },
    { name: 'tokenreviews', verbs: ['create'] },
    { name: 'subjectaccessreviews', verbs: ['create'] },
  ]);
});

/** `rbac` of every file src/**\/rbac.ts, loaded by Node itself as the operator is: some of them reach CommonJS packages. */
async function declared(): Promise<PolicyRule[]> {
  const source = join(import.meta.dirname, '../../src');
  const files = (await readdir(source, { recursive: true })).filter(path => path.endsWith('/rbac.ts'));
  const script = `const modules = await Promise.all(process.argv.slice(1).map(path => import(path)));
    console.log(JSON.stringify(modules.flatMap(module => module.rbac)));`;
  const args = ['--input-type=module', '--eval', script, ...files.map(path => join(source, path))];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
}

interface Need {
  group: string;
  resource: string;
  verb: string;
  resourceNames: readonly string[] | undefined;
}

function grants(
  rule: Pick<PolicyRule, 'apiGroups' | 'resources' | 'resourceNames' | 'verbs'>,
  { group, resource, verb, resourceNames }: Need,
): boolean {
  const names =
    rule.resourceNames === undefined || (resourceNames?.every(name => rule.resourceNames?.includes(name)) ?? false);
  return names && rule.apiGroups.includes(group) && rule.resources.includes(resource) && rule.verbs.includes(verb);
}

async function rulesOf(kind: string, name: string): Promise<Rule[]> {
  const role = manifests(await helmTemplate()).find(
    (object: Manifest) => object.kind === kind && object.metadata.name === name,
  );
  return (role?.['rules'] ?? []) as Rule[];
}

function verbsFor(rules: readonly Rule[], group: string, resource: string): string[] {
  const matching = rules.filter(
    rule => rule.resourceNames === undefined && rule.apiGroups.includes(group) && rule.resources.includes(resource),
  );
  return matching.flatMap(rule => rule.verbs).toSorted();
}
