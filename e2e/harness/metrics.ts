import { nodeRun } from '../cluster/index.ts';
import { clusterName } from './node.ts';
import { eventually } from './poll.ts';

export interface Metric {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Parses the Prometheus text format, sample lines only. */
export function parseMetrics(text: string): Metric[] {
  const samples: Metric[] = [];
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match === null) continue;
    const labels: Record<string, string> = {};
    for (const [, name = '', value = ''] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[name] = value;
    samples.push({ name: match[1] ?? '', labels, value: Number(match[3]) });
  }
  return samples;
}

/** What the proxy of a pod measures right now. */
export async function weftMetrics(podAddress: string): Promise<Metric[]> {
  return parseMetrics(
    await nodeRun(clusterName, ['curl', '-sS', '--fail', '--max-time', '5', `http://${podAddress}:4191/metrics`]),
  );
}

/** What a pod's proxy counted on its way out: requests, and connections of any kind, with mesh TLS and without. */
export interface Sent {
  readonly requests: { readonly meshed: number; readonly plain: number };
  readonly connections: { readonly meshed: number; readonly plain: number };
}

async function sentSoFar(podAddress: string): Promise<Sent> {
  const samples = await weftMetrics(podAddress);
  const requests = (tls: string): number => sumOf(samples, 'response_total', { direction: 'outbound', tls });
  const connections = (tls: string): number =>
    sumOf(samples, 'tcp_open_total', { direction: 'outbound', peer: 'dst', tls });
  return {
    requests: { meshed: requests('true'), plain: requests('no_identity') },
    connections: { meshed: connections('true'), plain: connections('no_identity') },
  };
}

/** Runs `during` and resolves with its value and what the proxy of the pod counted meanwhile, which must be something. */
export async function countingSent<T>(podAddress: string, during: () => Promise<T>): Promise<{ value: T; sent: Sent }> {
  const before = await sentSoFar(podAddress);
  const value = await during();
  const sent = await eventually('the proxy counts what was sent', async () => {
    const now = await sentSoFar(podAddress);
    const difference = (of: 'requests' | 'connections') => ({
      meshed: now[of].meshed - before[of].meshed,
      plain: now[of].plain - before[of].plain,
    });
    const both = { requests: difference('requests'), connections: difference('connections') };
    const total = Object.values(both).reduce((sum, { meshed, plain }) => sum + meshed + plain, 0);
    return total > 0 && both;
  });
  return { value, sent };
}

/** Sum of all samples of a name whose labels include `labels`. */
export function sumOf(samples: readonly Metric[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  return samples
    .filter(
      sample => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, sample) => sum + sample.value, 0);
}
