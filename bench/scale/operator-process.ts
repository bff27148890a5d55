// The operator as it runs in its image: the bundle, with the same options of Node.
import { createServer } from 'node:net';
import type { TestApi } from '../../src/kube/testing/api-server.ts';
import { OPERATOR_NODE_OPTIONS } from '../../tools/image/operator-options.ts';
import { cpuNs, memoryKb } from '../proc.ts';
import { type Child, startChild } from './child.ts';
import { nowMs } from './clock.ts';

export interface OperatorProcess {
  readonly ports: { readonly config: number; readonly webhook: number; readonly api: number; readonly admin: number };
  readonly pid: number;
  /** Root of the mesh, PEM. */
  readonly rootPem: string;
  metrics(): Promise<Metrics>;
  sample(): Promise<Sample>;
  stop(): Promise<void>;
  /** As after a crash. */
  restart(): Promise<OperatorProcess>;
}

/** Sum of all series whose labels hold `part`. */
export type Metrics = (name: string, part?: string) => number;

export interface Sample {
  readonly rssMb: number;
  readonly heapMb: number;
  readonly cpuMs: number;
  readonly streams: number;
}

export interface OperatorSettings {
  readonly script: string;
  readonly api: TestApi;
  readonly kubeconfig: string;
  readonly cpus: string;
  readonly first: boolean;
  /** More options of Node, e.g. a profiler's. */
  readonly nodeOptions: readonly string[];
}

/** What Node gives itself under the memory limit that the chart sets by default, 512 MiB; without it garbage would be counted as memory that is needed. */
const HEAP_OF_CONTAINER = '--max-old-space-size=256';

export async function startOperatorProcess(settings: OperatorSettings): Promise<OperatorProcess> {
  const [config = 0, webhook = 0, api = 0, admin = 0] = await freePorts(4);
  return await start(settings, { config, webhook, api, admin });
}

async function start(
  settings: OperatorSettings,
  ports: OperatorProcess['ports'],
  formerRoot?: string,
): Promise<OperatorProcess> {
  const flags = [
    `--kubeconfig=${settings.kubeconfig}`,
    '--log-level=warn',
    '--query-port=0',
    ...Object.entries(ports).map(([name, port]) => `--${name}-port=${port}`),
  ];
  const child = startChild({
    argv: [...OPERATOR_NODE_OPTIONS, HEAP_OF_CONTAINER, ...settings.nodeOptions, settings.script, ...flags],
    cpus: settings.cpus,
    first: settings.first,
    env: { NODE_ENV: 'production' },
  });
  await ready(child, ports.admin);
  // While everybody comes back the API server has better things to do than to answer the rig.
  const rootPem = formerRoot ?? (await readRoot(settings.api));
  const metrics = async (): Promise<Metrics> => {
    const text = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
    const lines = text.split('\n');
    return (name, part = '') =>
      lines
        .filter(line => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(part))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  };
  return {
    ports,
    pid: child.pid,
    rootPem,
    metrics,
    sample: async () => {
      const read = await metrics();
      return {
        rssMb: memoryKb([child.pid]).rss / 1_024,
        heapMb: read('nodejs_heap_size_used_bytes') / 1_048_576,
        cpuMs: cpuNs(child.pid) / 1e6,
        streams: read('weft_config_streams'),
      };
    },
    stop: () => child.stop(),
    restart: async () => {
      process.kill(child.pid, 'SIGKILL');
      await child.ended;
      return await start(settings, ports, rootPem);
    },
  };
}

async function readRoot(api: TestApi): Promise<string> {
  const secret = await api.get('/api/v1/namespaces/weft-system/secrets/weft-root-default');
  const data = secret['data'] as Readonly<Record<string, string>> | undefined;
  return Buffer.from(data?.['tls.crt'] ?? '', 'base64').toString();
}

async function ready(child: Child, port: number): Promise<void> {
  const endMs = nowMs() + 120_000;
  let ended = false;
  void child.ended.then(() => {
    ended = true;
  });
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    if (ended || nowMs() > endMs) throw new Error(`the operator does not become ready: ${child.said()}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

// All are held until the last one is known, so no two are the same.
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>(resolve =>
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          }),
        ),
    ),
  );
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
