import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureComponent, withLock } from '../../tools/components/build.ts';
import { ensureImage, type ImageName } from '../../tools/image/index.ts';
import { apiServerPort, apiServiceAddress, nodeAddress } from './addresses.ts';
import { type CertificateRequest, writeCertificates } from './certificates.ts';
import { createGroup } from './cgroups.ts';
import { startComponent, waitForApi } from './components.ts';
import { type Report, removeCluster } from './down.ts';
import { enterCommand, nodeRun } from './exec.ts';
import { isHealthy } from './health.ts';
import { loadImage } from './images.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createNamespaces } from './namespaces.ts';
import { writeNodeConfig } from './node-config.ts';
import { type ClusterPaths, clusterPaths } from './paths.ts';
import { nodeCommands, type ProgramName } from './programs.ts';
import { requireMachine, requireRoot } from './requirements.ts';
import { type ClusterState, readState, writeState } from './state.ts';
import { type Step, stepsReportedTo } from './steps.ts';

export interface UpOptions {
  /** Receives one line per step, with seconds. */
  report?: Report;
  /** Default true. */
  certManager?: boolean;
}

// podinfo is there so that a first Deployment runs on a fresh node.
const nodeImages: readonly ImageName[] = ['pause', 'coredns', 'cert-manager-controller', 'podinfo'];

/** Paths of built programs, and of the archives of `nodeImages`. */
interface Built {
  kubernetes: string;
  certManager: string;
  helm: string;
  images: string[];
}

/**
 * Brings a node up: API server, controllers, kubelet, kube-proxy, CoreDNS and cert-manager, all Ready when this resolves.
 * Does nothing if that is so already; what a crash or an interruption left is removed first. Logs are in `.cluster/NAME/log`.
 */
export async function clusterUp(name: string, options: UpOptions = {}): Promise<void> {
  const paths = clusterPaths(name);
  const report = options.report ?? (() => {});
  requireRoot();
  const bringUp = async () => {
    const state = await readState(paths);
    const deployments = options.certManager === false ? ['coredns'] : ['coredns', 'cert-manager'];
    if (state?.kind === 'node' && state.phase === 'running' && (await isHealthy(name, state, deployments))) {
      report('is up already');
      return;
    }
    if (await removeCluster(paths, report)) report('what an earlier cluster left is removed');
    const startedMs = performance.now();
    await createCluster(paths, options, stepsReportedTo(report));
    report(
      `up in ${((performance.now() - startedMs) / 1000).toFixed(1)} s; kubeconfig ${paths.kubeconfig}, logs ${paths.log}`,
    );
  };
  await withLock(paths.lock, bringUp, () => report('waiting for another up or down'));
}

async function createCluster(paths: ClusterPaths, options: UpOptions, step: Step): Promise<void> {
  const { name } = paths;
  await step('packages', () => requireMachine('node'));
  const built = await step('programs and images', buildAll);
  const programs = dirname(built.kubernetes);
  const state: ClusterState = {
    kind: 'node',
    phase: 'starting',
    startedAt: new Date().toISOString(),
    components: {},
    server: `https://${nodeAddress.ipv4}:${apiServerPort}`,
  };
  const cgroups = await step('namespaces, certificates, configuration', () => prepare(paths, state, built));
  const enter = await enterCommand(name, [], { withMounts: true });
  const commands = nodeCommands(paths, programs);
  const start = async (program: ProgramName) => {
    const env = memoryLimits[program];
    await startComponent(paths, state, {
      name: program,
      argv: commands[program],
      enter,
      cgroups,
      ...(env && { env: { GOMEMLIMIT: env } }),
    });
  };

  for (const program of ['etcd', 'kube-apiserver', 'containerd'] as const) await start(program);
  const imported = step('images imported', () => importImages(name, built.images));
  const ready = step('API server ready', () => waitForApi(paths, state, 60_000));
  await Promise.all([imported, ready]);
  for (const program of ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'] as const)
    await start(program);
  const certManager = options.certManager ?? true;
  await step('manifests applied', () => applyManifests(name, certManager ? built.certManager : undefined));
  await step('node ready', () => waitFor(name, `node/${name}`, 'Ready'));
  await step('CoreDNS ready', () => waitFor(name, 'deployment/coredns', 'Available', 'kube-system'));
  if (certManager)
    await step('cert-manager ready', () => waitFor(name, 'deployment/cert-manager', 'Available', 'cert-manager'));
  await step('service network answers', () => waitForDns(name));
  state.phase = 'running';
  await writeState(paths, state);
}

// The collector works harder near these soft limits, so several clusters fit beside a build.
const memoryLimits: Partial<Record<ProgramName, string>> = {
  'kube-apiserver': '800MiB',
  'kube-controller-manager': '300MiB',
  'kube-scheduler': '200MiB',
  kubelet: '300MiB',
  'kube-proxy': '150MiB',
};

async function buildAll(): Promise<Built> {
  // One after the other: each build uses every core by itself.
  const kubernetes = await ensureComponent('kubernetes');
  const certManager = await ensureComponent('cert-manager');
  const helm = await ensureComponent('helm');
  const images: string[] = [];
  for (const image of nodeImages) images.push(await ensureImage(image));
  return { kubernetes, certManager, helm, images };
}

async function prepare(paths: ClusterPaths, state: ClusterState, built: Built): Promise<string[]> {
  await rm(paths.log, { recursive: true, force: true });
  for (const folder of [paths.log, paths.bin, paths.config, paths.data]) await mkdir(folder, { recursive: true });
  await writeState(paths, state);
  await symlink(join(dirname(built.kubernetes), 'kubectl'), join(paths.bin, 'kubectl'));
  await symlink(built.helm, join(paths.bin, 'helm'));
  const [, , cgroups] = await Promise.all([
    createNamespaces(paths, async (holder, ref) => {
      const log = join(paths.log, 'namespaces.log');
      state.components[holder] = { ref, argv: [], env: {}, log };
      await writeState(paths, state);
      await writeFile(paths.holderPid[holder], `${ref.pid}\n`);
    }),
    writeIdentities(paths, state.server),
    createGroup(`${paths.cgroup}/system`),
    writeNodeConfig(paths),
  ]);
  return cgroups;
}

async function writeIdentities(paths: ClusterPaths, server: string): Promise<void> {
  await writeCertificates(paths.certificates, nodeCertificates(paths.name));
  const inConfig = ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
  for (const client of inConfig) {
    await writeKubeconfig({ ...paths, client, server, output: join(paths.config, `${client}.kubeconfig`) });
  }
  await writeKubeconfig({ ...paths, client: 'admin', server, output: paths.kubeconfig });
}

function nodeCertificates(node: string): CertificateRequest[] {
  const service = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const addresses = [nodeAddress, apiServiceAddress].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
  return [
    {
      file: 'kube-apiserver',
      commonName: 'kube-apiserver',
      names: [...service, 'localhost', '127.0.0.1', '::1', ...addresses],
    },
    { file: 'kube-apiserver-client', commonName: 'kube-apiserver-client', organization: 'system:masters' },
    { file: 'front-proxy-client', commonName: 'front-proxy-client' },
    { file: 'admin', commonName: 'admin', organization: 'system:masters' },
    { file: 'kube-controller-manager', commonName: 'system:kube-controller-manager' },
    { file: 'kube-scheduler', commonName: 'system:kube-scheduler' },
    { file: 'kube-proxy', commonName: 'system:kube-proxy' },
    { file: 'kubelet', commonName: `system:node:${node}`, organization: 'system:nodes' },
    { file: 'kubelet-server', commonName: node, names: [node, nodeAddress.ipv4, nodeAddress.ipv6] },
  ];
}

async function importImages(name: string, images: readonly string[]): Promise<void> {
  await nodeRun(
    name,
    [
      'sh',
      '-c',
      'until ctr --address "$0" version >/dev/null 2>&1; do sleep 0.1; done',
      '/run/containerd/containerd.sock',
    ],
    {
      withMounts: true,
      timeoutMs: 30_000,
    },
  );
  for (const tar of images) await loadImage(name, tar);
}

async function applyManifests(name: string, certManager: string | undefined): Promise<void> {
  const files = [join(import.meta.dirname, 'manifests/coredns.yaml')];
  if (certManager !== undefined) {
    const definitions = join(dirname(certManager), 'assets');
    files.push(...(await readdir(definitions)).map(file => join(definitions, file)));
    files.push(join(import.meta.dirname, 'manifests/cert-manager.yaml'));
  }
  // Server-side: the definitions are too large for the annotation of a client-side apply.
  const argv = ['kubectl', 'apply', '--server-side', '--force-conflicts', ...files.map(file => `--filename=${file}`)];
  await nodeRun(name, argv, { timeoutMs: 60_000 });
}

async function waitFor(name: string, object: string, condition: string, namespace = 'default'): Promise<void> {
  const argv = ['kubectl', `--namespace=${namespace}`, 'wait', object, '--timeout=90s'];
  await nodeRun(name, [...argv, '--for=create'], { timeoutMs: 100_000 });
  await nodeRun(name, [...argv, `--for=condition=${condition}`], { timeoutMs: 100_000 });
}

// From here on a ClusterIP works: kube-proxy has written its rules and CoreDNS answers behind one of them.
async function waitForDns(name: string): Promise<void> {
  await nodeRun(name, [process.execPath, join(import.meta.dirname, 'await-dns.ts')], { timeoutMs: 60_000 });
}
