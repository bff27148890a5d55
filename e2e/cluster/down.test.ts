// After `down` nothing is left: looked for from the outside, by other means than those by which `down` finds it.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { ensureComponent } from '../../tools/components/build.ts';
import { hierarchies } from './cgroups.ts';
import { apiOnly, clusterDown, clusterUp, component, listClusters, nodeExec, nodeRun } from './index.ts';
import { clusterPaths } from './paths.ts';
import { readState } from './state.ts';

const names = ['selftest-a', 'selftest-b'] as const;
const [first, second] = names;

afterEach(async () => {
  for (const name of names) await clusterDown(name);
});

test('the host keeps its links, addresses, routes and rules while a node comes and goes', async () => {
  const before = await hostFacts();
  expect(before.links).toContain('lo');
  await clusterUp(first, { certManager: false });
  expect(await hostFacts()).toEqual(before);
  await clusterDown(first);
  expect(await hostFacts()).toEqual(before);
});

test('two nodes side by side do not disturb each other, and the end of one leaves the other whole', async () => {
  await Promise.all(names.map(name => clusterUp(name, { certManager: false })));
  for (const name of names) {
    const nodes = await nodeRun(name, ['kubectl', 'get', 'nodes', '--output=name']);
    expect(nodes.trim()).toBe(`node/${name}`);
  }
  const secondTraces = await traces(second);
  await clusterDown(first);
  await sleep(3000);
  expect(await traces(second)).toEqual(secondTraces);
  expect((await listClusters()).find(({ name }) => name === second)?.status).toBe('running');
  const restarts = await nodeRun(second, [
    'kubectl',
    'get',
    'pods',
    '--all-namespaces',
    '--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}',
  ]);
  expect(restarts).toBe('0');
});

test('kubelet and etcd killed: down leaves no process, mount, namespace, control group or data', async () => {
  await clusterUp(first, { certManager: false });
  const before = await traces(first);
  // The control: what is asserted to be gone is there, pods and their shims included.
  expect(before.processes.length).toBeGreaterThan(9);
  expect(before.processes.some(line => line.includes('containerd-shim'))).toBe(true);
  expect(before.processes.some(line => line.includes('coredns'))).toBe(true);
  expect(before.cgroups.some(path => path.includes('kubepods'))).toBe(true);

  await component(first, 'kubelet').stop('SIGKILL');
  await component(first, 'etcd').stop('SIGKILL');
  await clusterDown(first);

  await expectNothingLeft(first, before.namespaces);
  expect(await clusterDown(first)).toBe(false);
});

test('an up that is killed at any stage is cleaned up by down, and by the next up', async () => {
  for (const stage of ['node', 'kube-apiserver', 'kube-proxy']) {
    await killUpAfter(first, stage);
    const before = await traces(first);
    expect({ stage, isRunning: before.processes.length > 0 }).toEqual({ stage, isRunning: true });
    await clusterDown(first);
    await expectNothingLeft(first, before.namespaces);
  }
  await killUpAfter(first, 'kubelet');
  await clusterUp(first, { certManager: false });
  expect((await nodeExec(first, ['kubectl', 'get', '--raw=/readyz'])).stdout).toBe('ok');
});

test('an API server alone answers on loopback, comes back after a kill, and leaves nothing', async () => {
  const api = await apiOnly(first);
  expect(api.server).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const kubectl = async (...args: string[]) => await runKubectl(api.kubeconfig, args);
  expect(await kubectl('create', 'configmap', 'kept', '--from-literal=a=b')).toBe(0);
  const apiServer = component(first, 'kube-apiserver');
  await apiServer.stop('SIGKILL');
  expect(await kubectl('get', 'configmap', 'kept')).not.toBe(0);
  await apiServer.start();
  expect(await kubectl('get', 'configmap', 'kept')).toBe(0);
  await api.stop();
  await expectNothingLeft(first, []);
});

interface HostFacts {
  links: string;
  addresses: string;
  routes: string;
  rules: string;
}

async function hostFacts(): Promise<HostFacts> {
  const print = async (...[program = '', ...args]: string[]) => (await promisify(execFile)(program, args)).stdout;
  return {
    links: await print('ip', '-brief', 'link'),
    addresses: await print('ip', '-brief', 'address'),
    routes: (await print('ip', 'route', 'show', 'table', 'all')) + (await print('ip', '-6', 'route', 'show')),
    rules: await print('nft', 'list', 'ruleset'),
  };
}

interface Traces {
  /** Command lines of processes that are in its control group or namespaces, or name its folder. */
  processes: string[];
  mounts: string[];
  cgroups: string[];
  /** Identities of the namespaces of its holders, as /proc/PID/ns names them. */
  namespaces: string[];
}

async function traces(name: string, namespaces?: string[]): Promise<Traces> {
  const { folder, cgroup } = clusterPaths(name);
  const own = namespaces ?? (await holderNamespaces(name));
  const cgroups: string[] = [];
  for (const { mountPoint } of await hierarchies()) {
    const entries = await readdir(mountPoint, { recursive: true, withFileTypes: true });
    const paths = entries.filter(entry => entry.isDirectory()).map(entry => join(entry.parentPath, entry.name));
    cgroups.push(...paths.filter(path => path.includes(`/${cgroup}`)));
  }
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter(line => line.includes(`${folder}/`));
  return { processes: await processesOf(folder, cgroup, own), mounts, cgroups: cgroups.toSorted(), namespaces: own };
}

async function processesOf(folder: string, cgroup: string, namespaces: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter(entry => /^\d+$/.test(entry))) {
    const read = async (file: string) => await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '');
    const link = async (kind: string) => await readlink(`/proc/${pid}/ns/${kind}`).catch(() => '');
    const command = (await read('cmdline')).replaceAll('\0', ' ');
    const isInside = [await link('net'), await link('mnt')].some(namespace => namespaces.includes(namespace));
    const isNamed = command.includes(`${folder}/`) || (await read('cgroup')).includes(`/${cgroup}/`);
    // A zombie has no command line any more; it is only its parent's to collect.
    if (command !== '' && (isInside || isNamed)) found.push(`${pid} ${command}`);
  }
  return found.toSorted();
}

async function holderNamespaces(name: string): Promise<string[]> {
  const components = (await readState(clusterPaths(name)))?.components ?? {};
  const links: string[] = [];
  for (const [holder, kinds] of [
    ['node', ['net', 'mnt']],
    ['outside', ['net']],
  ] as const) {
    const pid = components[holder]?.ref.pid;
    for (const kind of kinds) if (pid !== undefined) links.push(await readlink(`/proc/${pid}/ns/${kind}`));
  }
  return links;
}

async function expectNothingLeft(name: string, namespaces: string[]): Promise<void> {
  expect(await traces(name, namespaces)).toEqual({ processes: [], mounts: [], cgroups: [], namespaces });
  const { folder } = clusterPaths(name);
  expect(await readdir(folder)).toEqual(['log']);
  await expect(stat(clusterPaths(name).state)).rejects.toThrow('ENOENT');
}

/** Starts `up` as a process of its own and kills it as soon as the given program is recorded. */
async function killUpAfter(name: string, program: string): Promise<void> {
  const up = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'up', name], { stdio: 'ignore' });
  const ended = new Promise(resolve => up.once('close', resolve));
  while ((await readState(clusterPaths(name)))?.components[program] === undefined) {
    if (up.exitCode !== null) throw new Error(`up ended before it started ${program}`);
    await sleep(10);
  }
  up.kill('SIGKILL');
  await ended;
}

async function runKubectl(kubeconfig: string, args: readonly string[]): Promise<number | null> {
  const program = join(await ensureComponent('kubernetes'), '../kubectl');
  const child: ChildProcess = spawn(program, [`--kubeconfig=${kubeconfig}`, ...args], { stdio: 'ignore' });
  return await new Promise(resolve => child.once('close', resolve));
}
