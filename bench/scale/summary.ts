// The figures of a run beside what they must be. Pure.
import { median } from '../stats.ts';
import type { PushReading, ScaleResults } from './results.ts';

export interface Row {
  readonly what: string;
  readonly was: string;
  /** Weft's figure as a multiple of the floor's, in the same rounds. */
  readonly ratio: string;
  readonly must: string;
  readonly stretch: string;
  readonly verdict: string;
}

interface Target {
  readonly must: number;
  readonly stretch: number;
}

/** DESIGN 6, by number of proxies. */
const PUSH: Readonly<Record<number, Target>> = {
  2000: { must: 150, stretch: 80 },
  8000: { must: 400, stretch: 250 },
};
const MEMORY: Target = { must: 350, stretch: 250 };

const blank = { ratio: '', must: '', stretch: '', verdict: '' };

function judged(was: number, target: Target | undefined, unit: string): Omit<Row, 'what' | 'was'> {
  if (target === undefined) return blank;
  const verdict = was <= target.stretch ? 'holds, stretch too' : was <= target.must ? 'holds' : 'MISSED';
  return { ratio: '', must: `<= ${target.must} ${unit}`, stretch: `${target.stretch} ${unit}`, verdict };
}

export function figuresOf(readings: readonly PushReading[], field: 'lastMs' | 'ackedMs' | 'cpuMs') {
  const own = readings.filter(({ subject }) => subject === 'weft');
  const ratios = own.flatMap(reading => {
    const floor = readings.find(({ subject, round }) => subject === 'floor' && round === reading.round);
    return floor === undefined ? [] : [reading[field] / floor[field]];
  });
  const floor = readings.filter(({ subject }) => subject === 'floor').map(reading => reading[field]);
  return {
    own: median(own.map(reading => reading[field])),
    low: Math.min(...own.map(reading => reading[field])),
    high: Math.max(...own.map(reading => reading[field])),
    floor: median(floor),
    ratio: median(ratios),
  };
}

function pushRows(results: ScaleResults): Row[] {
  const titles = { endpoints: 'endpoint change', weight: 'weight change' } as const;
  return results.size.proxies.flatMap(proxies =>
    (['endpoints', 'weight'] as const).flatMap(step => {
      const readings = results.pushes.filter(reading => reading.step === step && reading.proxies === proxies);
      if (readings.length === 0) return [];
      const last = figuresOf(readings, 'lastMs');
      const acked = figuresOf(readings, 'ackedMs');
      const cpu = figuresOf(readings, 'cpuMs');
      const shown = ({ own, low, high }: typeof last): string =>
        `${own.toFixed(0)} ms (${low.toFixed(0)}-${high.toFixed(0)})`;
      const ratio = ({ ratio, floor }: typeof last): string => `${ratio.toFixed(2)} of ${floor.toFixed(0)} ms`;
      return [
        {
          what: `${titles[step]}, API write to last of ${proxies} proxies`,
          was: shown(last),
          ...judged(last.own, PUSH[proxies], 'ms'),
          ratio: ratio(last),
        },
        { ...blank, what: '  to last acknowledgement', was: shown(acked), ratio: ratio(acked) },
        { ...blank, what: '  CPU until the last receipt', was: shown(cpu), ratio: ratio(cpu) },
      ];
    }),
  );
}

export function rows(results: ScaleResults): Row[] {
  const mb = (value: number): string => `${value.toFixed(0)} MB`;
  const memory = results.usage.map(({ at, proxies, rssMb, heapMb }) => ({
    ...blank,
    what: `operator memory, ${at}`,
    was: `${mb(rssMb)} (heap ${mb(heapMb)})`,
    ...(results.size.services >= 1_000 && proxies === 2_000 ? judged(rssMb, MEMORY, 'MB') : {}),
  }));
  const storms = results.storms.map(({ proxies, readyMs, lastMs, served }) => ({
    ...blank,
    what: `operator killed: last of ${proxies} proxies served again`,
    was: `${(lastMs / 1_000).toFixed(1)} s`,
    ratio: `ready after ${(readyMs / 1_000).toFixed(1)} s, ${served} served`,
  }));
  const churn = results.churn.map(({ writes, seconds, lag, cpuShare, messages }) => ({
    ...blank,
    what: `${(writes / seconds).toFixed(0)} endpoint changes/s for ${seconds.toFixed(0)} s: write to proxy`,
    was: `p50 ${lag.p50.toFixed(0)}, p99 ${lag.p99.toFixed(0)}, max ${lag.max.toFixed(0)} ms`,
    ratio: `${(100 * cpuShare).toFixed(0)} % of a CPU, ${messages} messages`,
  }));
  const certified = results.certified.map(({ count, perSecond, took, refused }) => ({
    ...blank,
    what: `certificates, ${count} proxies at once new`,
    was: `${perSecond.toFixed(0)}/s, p99 ${took.p99.toFixed(0)} ms`,
    ratio: `${refused} refused`,
  }));
  const injection = results.injection.map(({ during, took }) => ({
    ...blank,
    what: `injection, ${during === 'rest' ? 'at rest' : 'during the changes'}`,
    was: `p50 ${took.p50.toFixed(1)}, p99 ${took.p99.toFixed(1)} ms`,
  }));
  return [...pushRows(results), ...memory, ...storms, ...churn, ...certified, ...injection];
}

export function table(results: ScaleResults): string {
  const head: Row = { what: '', was: 'was', ratio: 'times the floor', must: 'must', stretch: 'stretch', verdict: '' };
  const all = [head, ...rows(results)];
  const columns = ['what', 'was', 'ratio', 'must', 'stretch', 'verdict'] as const;
  const widths = columns.map(column => Math.max(...all.map(row => row[column].length)));
  return all
    .map(row =>
      columns
        .map((column, index) => row[column].padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
