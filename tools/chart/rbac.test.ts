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

test('what is granted is what the parts of the operator say they need, no less and no more', async () => {
  const needed = await needs();
  expect(needed('cluster', 'watched-namespaces').length).toBeGreaterThan(30);
  expect(listed(await rulesOf('ClusterRole', 'weft-operator'))).toEqual(needed('cluster', 'watched-namespaces'));
  expect(listed(await rulesOf('Role', 'weft-operator'))).toEqual(needed('control-namespace'));
}, 120_000);

test('so it is in namespaces that are named, and of namespaces those alone can be read', async () => {
  const needed = await needs();
  const only = '--set=watchNamespaces={demo,shop}';
  for (const namespace of ['demo', 'shop'])
    expect(listed(await rulesIn(namespace, only))).toEqual(needed('watched-namespaces'));
  expect(listed(await rulesOf('Role', 'weft-operator', only))).toEqual(needed('control-namespace'));
  const cluster = await rulesOf('ClusterRole', 'weft-operator', only);
  const isNamespaces = ({ resources }: Rule): boolean => resources.includes('namespaces');
  expect(cluster.filter(isNamespaces).map(({ resourceNames }) => resourceNames)).toEqual([['demo', 'shop']]);
  const unnamed = cluster.map(rule => (isNamespaces(rule) ? withoutNames(rule) : rule));
  expect(listed(unnamed)).toEqual(needed('cluster'));
}, 120_000);

test('in namespaces that are named nothing namespaced is granted elsewhere, but events about what has no namespace', async () => {
  const objects = await rendered('--set=watchNamespaces={demo,shop}');
  const places = objects
    .filter(({ kind, metadata }) => kind === 'RoleBinding' && metadata.name.startsWith('weft-operator'))
    .map(({ metadata }) => `${metadata.namespace} ${metadata.name}`);
  expect(places.toSorted()).toEqual([
    'default weft-operator-events',
    'demo weft-operator-watched',
    'kube-system weft-operator-authentication-reader',
    'shop weft-operator-watched',
    'weft-system weft-operator',
  ]);
  const events = objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name === 'weft-operator-events');
  expect(events?.['rules']).toEqual([{ apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] }]);
  const deployment = JSON.stringify(objects.find(({ kind }) => kind === 'Deployment'));
  expect(deployment).toContain('{"name":"WEFT_WATCH_NAMESPACES","value":"demo,shop"}');
  for (const object of objects.filter(({ kind }) => kind.endsWith('WebhookConfiguration')))
    for (const { namespaceSelector } of object['webhooks'] as { namespaceSelector: { matchExpressions: object[] } }[])
      expect(namespaceSelector.matchExpressions).toContainEqual({
        key: 'kubernetes.io/metadata.name',
        operator: 'In',
        values: ['demo', 'shop'],
      });
});

test('canaries get what their part says that it needs, in a service account of their own, and only when asked for', async () => {
  const asked = '--set=canary.enabled=true';
  const needed = await needs('canaryRbac');
  expect(needed('watched-namespaces').length).toBeGreaterThan(30);
  expect(listed(await rulesOf('ClusterRole', 'weft-canary', asked))).toEqual(needed('watched-namespaces', 'cluster'));
  expect(listed(await rulesOf('Role', 'weft-canary-lease', asked))).toEqual(needed('control-namespace'));
  expect(await rulesOf('ClusterRole', 'weft-canary')).toEqual([]);
  // The operator gets nothing more by it.
  for (const kind of ['ClusterRole', 'Role'])
    expect(await rulesOf(kind, 'weft-operator', asked)).toEqual(await rulesOf(kind, 'weft-operator'));
  const only = `${asked},watchNamespaces={demo,shop}`;
  const objects = await rendered(only);
  const roles = objects.filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'weft-canary');
  expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(['demo', 'shop']);
  for (const role of roles) expect(listed(role['rules'] as Rule[])).toEqual(needed('watched-namespaces'));
  expect(objects.filter(({ kind, metadata }) => kind.startsWith('Cluster') && metadata.name === 'weft-canary')).toEqual(
    [],
  );
});

test('canaries may ask the operator for golden signals, unless they ask somebody else', async () => {
  const allowed = async (...args: string[]): Promise<string> => {
    const operator = (await rendered(...args)).find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'weft-operator',
    );
    return /"WEFT_QUERY_ALLOW","value":"([^"]*)"/.exec(JSON.stringify(operator))?.[1] ?? '';
  };
  const both = '--set=canary.enabled=true,signals.allow={flagger-system/flagger}';
  expect([await allowed(), await allowed('--set=canary.enabled=true'), await allowed(both)]).toEqual([
    '',
    'weft-system/weft-canary',
    'flagger-system/flagger,weft-system/weft-canary',
  ]);
  expect(await allowed('--set=canary.enabled=true,canary.metricsServer=http://prometheus:9090')).toBe('');
});

test('no Secret can be listed by canaries: each is read by its name', async () => {
  const rules = await rulesOf('ClusterRole', 'weft-canary', '--set=canary.enabled=true');
  expect(verbsFor(rules, '', 'secrets')).toEqual(['create', 'get', 'patch']);
  for (const rule of rules) expect([...rule.apiGroups, ...rule.resources, ...rule.verbs]).not.toContain('*');
});

test('pods can be evicted where the installation allows it, and nowhere else', async () => {
  const mayEvict = async (...args: readonly string[]): Promise<boolean> => {
    const role = manifests(await helmTemplate(...args)).find(
      ({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'weft-operator',
    );
    return ((role?.['rules'] ?? []) as Rule[]).some(({ resources }) => resources.includes('pods/eviction'));
  };
  expect([await mayEvict(), await mayEvict('--set=operator.evictUnmeshed=true')]).toEqual([false, true]);
});

test('nobody is granted a wildcard, escalation, or a Secret outside of weft-system', async () => {
  const objects = await rendered();
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

type Export = 'rbac' | 'canaryRbac';

/** What every file src/**\/rbac.ts exports under that name, loaded by Node itself as the operator is: some of them reach CommonJS packages. */
function declared(name: Export): Promise<readonly PolicyRule[]> {
  const known = loaded.get(name) ?? load(name);
  loaded.set(name, known);
  return known;
}

const loaded = new Map<Export, Promise<readonly PolicyRule[]>>();

async function load(name: Export): Promise<readonly PolicyRule[]> {
  const source = join(import.meta.dirname, '../../src');
  const files = (await readdir(source, { recursive: true })).filter(path => path.endsWith('/rbac.ts'));
  const script = `const modules = await Promise.all(process.argv.slice(1).map(path => import(path)));
    console.log(JSON.stringify(modules.flatMap(module => module.${name} ?? [])));`;
  const args = ['--input-type=module', '--eval', script, ...files.map(path => join(source, path))];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
}

type Rights = Pick<PolicyRule, 'apiGroups' | 'resources' | 'verbs' | 'resourceNames'>;

/** One line for each right. */
function listed(rules: readonly Rights[]): readonly string[] {
  const lines = rules.flatMap(({ apiGroups, resources, verbs, resourceNames = [] }) =>
    apiGroups.flatMap(group =>
      resources.flatMap(resource => verbs.map(verb => [verb, `${resource}.${group}`, ...resourceNames].join(' '))),
    ),
  );
  return [...new Set(lines)].toSorted();
}

async function needs(name: Export = 'rbac'): Promise<(...scopes: PolicyRule['scope'][]) => readonly string[]> {
  const rules = await declared(name);
  return (...scopes) => listed(rules.filter(({ scope }) => scopes.includes(scope)));
}

const withoutNames = ({ apiGroups, resources, verbs }: Rule): Rule => ({ apiGroups, resources, verbs });

const renderings = new Map<string, Promise<readonly Manifest[]>>();

/** The chart with these arguments, rendered once. */
function rendered(...args: string[]): Promise<readonly Manifest[]> {
  const key = args.join(' ');
  const made = renderings.get(key) ?? helmTemplate(...args).then(manifests);
  renderings.set(key, made);
  return made;
}

/** Of the Role in a namespace that is watched. */
async function rulesIn(namespace: string, ...args: string[]): Promise<Rule[]> {
  const role = (await rendered(...args)).find(
    ({ kind, metadata }) => kind === 'Role' && metadata.namespace === namespace,
  );
  return (role?.['rules'] ?? []) as Rule[];
}

async function rulesOf(kind: string, name: string, ...args: string[]): Promise<Rule[]> {
  const role = (await rendered(...args)).find(
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
