import { nodeRun } from '../cluster/index.ts';
import { clusterName } from './node.ts';

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

/** Sum of all samples of a name whose labels include `labels`. */
export function sumOf(samples: readonly Metric[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  return samples
    .filter(
      sample => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, sample) => sum + sample.value, 0);
}
