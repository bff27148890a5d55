// docs/scale.md from the results of one run. Pure: the same results make the same bytes.
import type { ScaleResults } from './results.ts';
import { rows } from './summary.ts';

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

export function scalePage(results: ScaleResults): string {
  const { size, machine, versions } = results;
  const head = ['what', 'was', 'times the floor', 'must', 'stretch', ''];
  const lines = rows(results).map(({ what, was, ratio, must, stretch, verdict }) =>
    row([what.trim(), was, ratio, must, stretch, verdict === 'MISSED' ? '**missed**' : verdict]),
  );
  const listed = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const many = (value: number): string => value.toLocaleString('en');
  return `${[
    '<!-- Written by bench/scale/report.ts from bench/results/scale. Do not edit: a test compares. -->',
    '# Scale',
    `One operator with ${many(size.services)} Services and up to ${many(size.pods)} pods, measured on ${results.taken}.`,
    [row(head), row(head.map(() => '---')), ...lines].join('\n'),
    '## How it was taken',
    `${machine.cpu}, ${machine.cpus} CPUs, Linux ${machine.kernel}, ${listed.join(', ')}; load of the machine ${machine.load.toFixed(1)}. A real API server and etcd, the operator as in its image, and simulated proxies that speak the real protocol: TLS with the operator's certificate checked, a pod-bound token each, every message acknowledged, back after every loss. Each holds its workload, the roots, one Service under a TrafficSplit that all call, and five other Services. Operator and floor share one CPU, the proxies have the other.`,
    'The floor is a bare HTTP/2 server in the same run, on the same machine, with the same clients: it watches an object and writes the same bytes to all streams when that changes, and does nothing else. A figure is the median of the rounds with its range; a ratio is the median of the ratios within rounds. Compare ratios, never figures from different machines.',
    '`make bench-scale` repeats it; `BENCH=quick make bench-scale` takes a minute with 200 proxies and 100 Services. `node bench/scale/main.ts --publish` writes this page.',
  ].join('\n\n')}\n`;
}
