import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { enterCommand, nodeExec } from '../cluster/index.ts';
import { clusterName, getObject, kubectl } from './node.ts';
import { eventually } from './poll.ts';

/** One result of an instant query, by its labels in one text. */
export type Vector = ReadonlyMap<string, number>;

export interface Queried {
  query(text: string, atSeconds: number): Promise<Vector>;
}

interface Body {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result: readonly { readonly metric: object; readonly value: readonly [number, string] }[];
  };
}

async function ask(url: string, text: string, atSeconds: number, more: readonly string[] = []): Promise<Vector> {
  const parameters = ['--data-urlencode', `query=${text}`, '--data-urlencode', `time=${atSeconds}`];
  const { stdout, stderr } = await nodeExec(clusterName, [
    'curl',
    '-sSg',
    '--max-time',
    '20',
    ...more,
    ...parameters,
    url,
  ]);
  if (stdout === '') throw new Error(`${url}: ${stderr}`);
  const body = JSON.parse(stdout) as Body;
  if (body.data === undefined) throw new Error(`${url}: ${text}: ${body.error}`);
  return new Map(
    body.data.result.map(({ metric, value }) => [
      JSON.stringify(Object.entries(metric).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      Number(value[1]),
    ]),
  );
}

/** Golden signals of the operator, as the holder of the token may see them. */
export async function goldenSignals(token: string): Promise<Queried> {
  const { spec } = await getObject<{ spec: { clusterIP: string } }>('service', 'weft-operator', 'weft-system');
  const url = `https://${spec.clusterIP}:8091/api/v1/query`;
  return {
    query: async (text, atSeconds) => await ask(url, text, atSeconds, ['-k', '-H', `Authorization: Bearer ${token}`]),
  };
}

/** A token of a service account of its own, which may view the namespace and nothing else. */
export async function viewerToken(namespace: string): Promise<string> {
  await kubectl(['create', 'serviceaccount', 'viewer', '-n', namespace]);
  await kubectl([
    'create',
    'rolebinding',
    'viewer',
    '-n',
    namespace,
    '--clusterrole=weft-view',
    `--serviceaccount=${namespace}:viewer`,
  ]);
  return (await kubectl(['create', 'token', 'viewer', '-n', namespace])).trim();
}

interface Pod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly status: { readonly podIP?: string; readonly phase: string };
}

/** What discovery would say of the pods of a namespace: Debian builds Prometheus without the one for Kubernetes. */
async function targetsIn(namespace: string): Promise<object[]> {
  const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-o', 'json'])) as {
    items: readonly Pod[];
  };
  return items.map(({ metadata, status }) => ({
    targets: ['replaced:1'],
    labels: {
      __meta_kubernetes_pod_ip: status.podIP ?? '',
      __meta_kubernetes_pod_phase: status.phase,
      __meta_kubernetes_pod_label_weft_dev_proxy: metadata.labels?.['weft.dev/proxy'] ?? '',
    },
  }));
}

/** Real Prometheus on the node, with the rules that the documentation gives, for the pods that are in the namespace now. */
export async function startPrometheus(
  namespace: string,
  address: string,
): Promise<Queried & { stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-prometheus-'));
  const sample = parse(await readFile(join(import.meta.dirname, '../../config/prometheus/prometheus.yml'), 'utf8'));
  for (const job of sample.scrape_configs) {
    delete job.kubernetes_sd_configs;
    job.static_configs = await targetsIn(namespace);
  }
  const config = join(folder, 'prometheus.yml');
  await writeFile(config, stringify(sample));
  const [program = '', ...args] = await enterCommand(clusterName, [
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
  ]);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-4_096);
  });
  const ended = new Promise(resolve => child.once('close', resolve));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const query: Queried['query'] = async (text, atSeconds) =>
    await ask(`http://${address}/api/v1/query`, text, atSeconds);
  try {
    await eventually(
      'Prometheus answers',
      async () => {
        if (child.exitCode !== null) throw new Error(said);
        return await query('vector(1)', Date.now() / 1_000).then(
          ({ size }) => size === 1,
          () => false,
        );
      },
      { deadlineMs: 60_000 },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { query, stop };
}
