// A Prometheus of two queries, those that are built into Canaries: it reads the metrics of the proxies themselves, once a second. Runs on the node:
// `query-adapter.ts ADDRESS PORT`, until SIGTERM.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import process from 'node:process';
import { promisify } from 'node:util';

/** Counters of one pod: requests by classification, and requests by the upper bound of their latency in milliseconds. */
interface Counters {
  readonly total: number;
  readonly failed: number;
  readonly below: ReadonlyMap<number, number>;
}

interface Reading {
  readonly atMs: number;
  readonly pods: ReadonlyMap<string, Counters>;
}

const READINGS = 120;
const targets = new Map<string, Reading[]>();

async function podsOf(namespace: string, deployment: string): Promise<readonly { name: string; ip: string }[]> {
  const args = ['get', 'pods', '-n', namespace, '-l', `app=${deployment}`, '-o', 'json'];
  const { stdout } = await promisify(execFile)('kubectl', args, { maxBuffer: 64 * 1024 * 1024 });
  const { items } = JSON.parse(stdout) as { items: { metadata: { name: string }; status: { podIP?: string } }[] };
  return items.flatMap(({ metadata, status }) =>
    status.podIP === undefined ? [] : [{ name: metadata.name, ip: status.podIP }],
  );
}

function countersOf(text: string): Counters {
  let [total, failed] = [0, 0];
  const below = new Map<number, number>();
  for (const line of text.split('\n')) {
    if (!line.includes('direction="inbound"') || line.includes('route_name="probe"')) continue;
    const value = Number(line.split(' ').at(-1));
    if (line.startsWith('response_total{')) {
      total += value;
      if (line.includes('classification="failure"')) failed += value;
    }
    const bound = /^response_latency_ms_bucket\{.*\ble="([^"]+)"/.exec(line)?.[1];
    if (bound === undefined) continue;
    const limit = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    below.set(limit, (below.get(limit) ?? 0) + value);
  }
  return { total, failed, below };
}

async function read(key: string): Promise<void> {
  const [namespace = '', deployment = ''] = key.split('/');
  const pods = new Map<string, Counters>();
  for (const { name, ip } of await podsOf(namespace, deployment)) {
    const response = await fetch(`http://${ip}:4191/metrics`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    if (response?.ok === true) pods.set(name, countersOf(await response.text()));
  }
  targets.set(key, [...(targets.get(key) ?? []), { atMs: Date.now(), pods }].slice(-READINGS));
}

/** What was counted since the oldest reading of the window; a pod that was not there then began at zero. */
function increase(key: string, windowMs: number): Counters | undefined {
  const readings = targets.get(key) ?? [];
  const last = readings.at(-1);
  const first = readings.find(({ atMs }) => atMs >= Date.now() - windowMs);
  if (last === undefined || first === undefined || first === last) return undefined;
  let [total, failed] = [0, 0];
  const below = new Map<number, number>();
  for (const [name, now] of last.pods) {
    const before = first.pods.get(name);
    total += now.total - (before?.total ?? 0);
    failed += now.failed - (before?.failed ?? 0);
    for (const [bound, count] of now.below)
      below.set(bound, (below.get(bound) ?? 0) + count - (before?.below.get(bound) ?? 0));
  }
  return { total, failed, below };
}

function valueOf(query: string): number | undefined {
  const [, namespace = '', deployment = ''] = /namespace="([^"]+)",deployment=~"([^"]+)"/.exec(query) ?? [];
  const seconds = Number(/\[(\d+)s\]/.exec(query)?.[1] ?? 60);
  const key = `${namespace}/${deployment}`;
  if (namespace === '') return undefined;
  if (!targets.has(key)) targets.set(key, []);
  const counted = increase(key, seconds * 1_000);
  if (counted === undefined || counted.total === 0) return undefined;
  if (!query.startsWith('histogram_quantile')) return ((counted.total - counted.failed) * 100) / counted.total;
  const bounds = [...counted.below.entries()].toSorted(([a], [b]) => a - b);
  const all = bounds.at(-1)?.[1] ?? 0;
  return bounds.find(([, count]) => count >= all * 0.99)?.[0];
}

const [, , address = '127.0.0.1', port = '0'] = process.argv;
const server = createServer((request, response) => {
  const query = new URL(request.url ?? '/', 'http://x').searchParams.get('query') ?? '';
  const value = valueOf(query);
  const result = value === undefined ? [] : [{ metric: {}, value: [Date.now() / 1_000, String(value)] }];
  console.log(JSON.stringify({ query, value }));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
});
server.listen(Number(port), address, () => console.log('adapter listens'));
process.once('SIGTERM', () => process.exit(0));
for (;;) {
  await Promise.all([...targets.keys()].map(key => read(key).catch((error: unknown) => console.error(String(error)))));
  await new Promise(resolve => setTimeout(resolve, 1_000));
}
