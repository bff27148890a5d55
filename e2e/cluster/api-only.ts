import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureComponent, withLock } from '../../tools/components/build.ts';
import { writeCertificates } from './certificates.ts';
import { isApiReady } from './api-ready.ts';
import { startComponent } from './components.ts';
import { clusterDown, type Report, removeCluster } from './down.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { type ClusterPaths, clusterPaths } from './paths.ts';
import { isAlive } from './process.ts';
import { type ApiAddresses, apiServerCommand, etcdCommand } from './programs.ts';
import { requireMachine } from './requirements.ts';
import { type ClusterState, writeState } from './state.ts';

const readyTimeoutMs = 60_000;
const attempts = 3;

/** An API server with its etcd and nothing else, on the host's loopback. */
export interface ApiOnly {
  /** `https://127.0.0.1:PORT` */
  server: string;
  /** Path of the administrator's kubeconfig. */
  kubeconfig: string;
  /** Path of the authority that signed the server's certificate. */
  authority: string;
  stop(): Promise<void>;
}

/**
 * Starts etcd and kube-apiserver on random ports of 127.0.0.1, always afresh: a cluster of that name is removed first.
 * Ready for requests when it resolves. Needs no root. No controller runs: nothing creates service accounts or deletes
 * the content of namespaces. With `audit` what was asked of it is written down (`auditLog`). `component(name, 'kube-apiserver')` stops and starts it.
 */
export async function apiOnly(
  name: string,
  { report = () => {}, audit = false }: { report?: Report; audit?: boolean } = {},
): Promise<ApiOnly> {
  const paths = clusterPaths(name);
  await requireMachine('api-only');
  const programs = dirname(await ensureComponent('kubernetes'));
  return await withLock(paths.lock, async () => {
    for (let attempt = 1; ; attempt++) {
      await removeCluster(paths, report);
      try {
        const server = await create(paths, programs, audit ? await auditFlags(paths) : []);
        return {
          server,
          kubeconfig: paths.kubeconfig,
          authority: join(paths.certificates, 'ca.crt'),
          stop: async () => void (await clusterDown(name)),
        };
      } catch (error) {
        // Between choosing a port and listening on it somebody else may take it; then everything is tried afresh.
        if (attempt === attempts || !(error instanceof EndedError)) throw error;
        report(`${error.message}; starting again`);
      }
    }
  });
}

export const auditLogPath = ({ log }: Pick<ClusterPaths, 'log'>): string => join(log, 'audit.log');

class EndedError extends Error {}

/** Who asked for what and whether it was allowed, one line of JSON for each request. */
async function auditFlags(paths: ClusterPaths): Promise<string[]> {
  const policy = join(paths.data, 'audit-policy.yaml');
  await mkdir(paths.data, { recursive: true });
  const rule = { level: 'Metadata', omitStages: ['RequestReceived'] };
  await writeFile(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [rule] }));
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLogPath(paths)}`];
}

async function create(paths: ClusterPaths, programs: string, extra: readonly string[]): Promise<string> {
  await rm(paths.log, { recursive: true, force: true });
  for (const folder of [paths.log, paths.data]) await mkdir(folder, { recursive: true });
  const [etcdPort = 0, etcdPeerPort = 0, port = 0] = await freePorts(3);
  const addresses: ApiAddresses = { etcdPort, etcdPeerPort, port, bind: '127.0.0.1', advertise: '127.0.0.1' };
  const server = `https://127.0.0.1:${port}`;
  const state: ClusterState = {
    kind: 'api-only',
    phase: 'starting',
    startedAt: new Date().toISOString(),
    components: {},
    server,
  };
  await writeState(paths, state);
  await startComponent(paths, state, { name: 'etcd', argv: etcdCommand(paths, addresses) });
  await writeCertificates(paths.certificates, [
    { file: 'kube-apiserver', commonName: 'kube-apiserver', names: ['localhost', '127.0.0.1'] },
    { file: 'kube-apiserver-client', commonName: 'kube-apiserver-client', organization: 'system:masters' },
    { file: 'front-proxy-client', commonName: 'front-proxy-client' },
    { file: 'admin', commonName: 'admin', organization: 'system:masters' },
  ]);
  await writeKubeconfig({ ...paths, client: 'admin', server, output: paths.kubeconfig });
  // The kubernetes Service would get a loopback address as its endpoint, which the API itself calls invalid.
  // The ServiceAccount plugin would refuse every pod, for no controller creates the accounts.
  const argv = [
    ...apiServerCommand(paths, programs, addresses),
    '--endpoint-reconciler-type=none',
    '--disable-admission-plugins=ServiceAccount',
    ...extra,
  ];
  await startComponent(paths, state, { name: 'kube-apiserver', argv, env: { GOMEMLIMIT: '500MiB' } });
  await waitUntilReady(paths, state);
  state.phase = 'running';
  await writeState(paths, state);
  return server;
}

async function waitUntilReady(paths: ClusterPaths, state: ClusterState): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  while (!(await isApiReady(paths, state.server))) {
    const ended = Object.entries(state.components).find(([, { ref }]) => !isAlive(ref));
    if (ended !== undefined) throw new EndedError(`${ended[0]} ended, its log is ${ended[1].log}`);
    if (performance.now() > deadline) throw new Error(`the API server is not ready, its log is in ${paths.log}`);
    await sleep(20);
  }
}

// All are held until the last one is known, so no two are the same.
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(listenAnywhere));
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

async function listenAnywhere(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
