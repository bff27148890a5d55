import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { type ApiOnly, apiOnly, clusterDown } from '../../e2e/cluster/index.ts';
import { CANARY_SAMPLES, KINDS } from '../../src/api/index.ts';
import { ensureComponent } from '../components/build.ts';
import { helm } from './helm.ts';

// What only a real API server can show: the order in which Helm creates things, who owns them, and what is left behind.

const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/weft');
// cert-manager is not there, nor is a node: nothing would become ready.
const values = ['--set=certManager.create=false,mesh.spec.identity.mode=SelfManaged'];
const where = ['--namespace', 'weft-system'];
const cluster = 'chart';
let api: ApiOnly;
let connection: string[];

beforeAll(async () => {
  api = await apiOnly(cluster);
  connection = ['--kubeconfig', api.kubeconfig];
});

// By name: a start that failed halfway leaves processes, too.
afterAll(async () => {
  await clusterDown(cluster);
});

test('one installation into an empty cluster creates the definitions and the MeshConfig', async () => {
  await install();
  expect(await kubectl('get', 'meshconfig', 'default', '-o', 'jsonpath={.spec.identity.mode}')).toBe('SelfManaged');
  expect(await owner('crd/meshconfigs.weft.dev')).toBe('weft');
  expect(await owner('meshconfig/default')).toBe('weft');
  expect(await owner('crd/trafficsplits.split.smi-spec.io')).toBe('weft');
});

test('installing again changes nothing that others have written', async () => {
  const webhooks = ['mutatingwebhookconfiguration', 'weft-webhooks'];
  const bundle = Buffer.from(await readFile(api.authority)).toString('base64');
  const patch = JSON.stringify([{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: bundle }]);
  await kubectl('patch', ...webhooks, '--type=json', '-p', patch);
  await install('--set=operator.replicas=2');
  expect(await kubectl('get', ...webhooks, '-o', 'jsonpath={.webhooks[0].clientConfig.caBundle}')).toBe(bundle);
  expect(await kubectl('get', 'deployment', 'weft-operator', ...where, '-o', 'jsonpath={.spec.replicas}')).toBe('2');
});

test('nobody chooses another mesh for a pod than that of its namespace, and a pod keeps its own when the namespace moves', async () => {
  await kubectl('create', 'namespace', 'moving');
  await kubectl('label', 'namespace', 'moving', 'weft.dev/mesh=east');
  const pod = (name: string, mesh: string): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'moving', ...(mesh === '' ? {} : { labels: { 'weft.dev/proxy': mesh } }) },
      spec: { containers: [{ name: 'app', image: 'none' }] },
    });
  // The API server takes a moment to read a policy that is new.
  await vi.waitFor(
    async () =>
      await expect(kubectlIn(pod('forged', 'west'), 'create', '--dry-run=server', '-f', '-')).rejects.toThrow(
        'the mesh of the namespace is east',
      ),
    { timeout: 30_000, interval: 200 },
  );
  await kubectlIn(pod('own', 'east'), 'create', '-f', '-');
  await kubectlIn(pod('plain', ''), 'create', '-f', '-');
  const relabel = (name: string, label: string): Promise<string> =>
    kubectl('label', 'pod', name, '-n', 'moving', '--overwrite', label);
  for (const [name, label] of [
    ['own', 'weft.dev/proxy=west'],
    ['own', 'weft.dev/proxy-'],
    ['plain', 'weft.dev/proxy=east'],
  ] as const)
    await expect(relabel(name, label), label).rejects.toThrow('recreate the pod');
  await kubectl('label', 'namespace', 'moving', 'weft.dev/mesh=west', '--overwrite');
  await vi.waitFor(async () => await kubectlIn(pod('new', 'west'), 'create', '-f', '-'), { timeout: 30_000 });
  await expect(kubectlIn(pod('late', 'east'), 'create', '-f', '-')).rejects.toThrow(
    'the mesh of the namespace is west',
  );
  // What runs already is changed in anything else.
  await relabel('own', 'team=a');
});

test('an upgrade updates the definitions, that of MeshConfig as well', async () => {
  const before = await revision('meshconfigs.weft.dev');
  await kubectl('label', 'crd', 'meshconfigs.weft.dev', 'app.kubernetes.io/part-of=changed', '--overwrite');
  await install('--set=commonLabels.round=two');
  expect(await kubectl('get', 'crd', 'meshconfigs.weft.dev', '-o', 'jsonpath={.metadata.labels.round}')).toBe('two');
  expect(await revision('meshconfigs.weft.dev')).not.toBe(before);
});

test('definitions that somebody else has installed are left alone', async () => {
  const definition = 'servers.policy.linkerd.io';
  await helm('uninstall', 'weft', ...where, ...connection, '--wait=false');
  await kubectl('delete', 'crd', definition);
  const theirs = parse(await readFile(join(root, 'crds/policy.linkerd.io_servers.yaml'), 'utf8'));
  await kubectlIn(JSON.stringify(theirs), 'create', '-f', '-');
  await install();
  expect(await owner(`crd/${definition}`)).toBe('');
  expect(await owner('crd/serverauthorizations.policy.linkerd.io')).toBe('weft');
});

test('uninstalling keeps the definitions and the objects of their kinds, and leaves nothing to wait for', async () => {
  const split = {
    apiVersion: 'split.smi-spec.io/v1alpha4',
    kind: 'TrafficSplit',
    metadata: { name: 'kept', namespace: 'default' },
  };
  await kubectlIn(
    JSON.stringify({ ...split, spec: { service: 'a', backends: [{ service: 'b', weight: 1 }] } }),
    'create',
    '-f',
    '-',
  );
  await helm('uninstall', 'weft', ...where, ...connection);
  expect(await kubectl('get', 'trafficsplit', 'kept', '-o', 'name')).toBe('trafficsplit.split.smi-spec.io/kept\n');
  expect(
    await kubectl(
      'get',
      'clusterrole,mutatingwebhookconfiguration',
      '-l',
      'app.kubernetes.io/part-of=weft',
      '-o',
      'name',
    ),
  ).toBe('');
});

test('installing over what was kept takes it back', async () => {
  await install();
  expect(await owner('crd/trafficsplits.split.smi-spec.io')).toBe('weft');
  expect(await kubectl('get', 'trafficsplit', 'kept', '-o', 'name')).toBe('trafficsplit.split.smi-spec.io/kept\n');
});

test('without cert-manager the default values are refused before anything is created', async () => {
  await expect(helm('upgrade', 'weft', chart, '--reset-values', ...where, ...connection)).rejects.toThrow(
    'cert-manager is not installed',
  );
});

test('every sample is accepted, and so is what kustomize builds', async () => {
  await kubectl('create', 'namespace', 'demo');
  const samples = await kubectl('apply', '--dry-run=server', '-k', join(root, 'config/samples'), '-o', 'name');
  const listed = parse(await readFile(join(root, 'config/samples/kustomization.yaml'), 'utf8')) as {
    resources: readonly string[];
  };
  // One of every kind of ours, each in a file of its own, and a Canary of each strategy.
  expect(listed.resources.length).toBe(KINDS.length + Object.keys(CANARY_SAMPLES).length);
  expect(samples.trim().split('\n')).toHaveLength(listed.resources.length);
  // cert-manager's kinds are not known here.
  const objects = (await kubectl('kustomize', join(root, 'config/default')))
    .split(/^---$/m)
    .filter(text => !text.includes('cert-manager.io/v1'));
  const applied = await kubectlIn(
    objects.join('---\n'),
    'apply',
    '--server-side',
    '--force-conflicts',
    '--dry-run=server',
    '-o',
    'name',
    '-f',
    '-',
  );
  expect(applied).toContain('deployment.apps/weft-operator');
});

async function install(...extra: string[]): Promise<void> {
  await helm('upgrade', '--install', 'weft', chart, ...where, '--create-namespace', ...connection, ...values, ...extra);
}

async function owner(object: string): Promise<string> {
  return await kubectl('get', object, '-o', 'jsonpath={.metadata.annotations.meta\\.helm\\.sh/release-name}');
}

async function revision(definition: string): Promise<string> {
  return await kubectl('get', 'crd', definition, '-o', 'jsonpath={.metadata.resourceVersion}');
}

async function kubectl(...args: string[]): Promise<string> {
  return await kubectlIn('', ...args);
}

async function kubectlIn(input: string, ...args: string[]): Promise<string> {
  const binary = join(dirname(await ensureComponent('kubernetes')), 'kubectl');
  const running = promisify(execFile)(binary, [...args, ...(args[0] === 'kustomize' ? [] : connection)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  running.child.stdin?.end(input);
  return (await running).stdout;
}
