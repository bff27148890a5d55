// What is asked of the signals, by the query API here and by other replicas.
import type { Fetched, Wanted } from '../promql/engine.ts';
import type { Matcher, Selector } from '../promql/expression.ts';
import { keyOf, type LabelSet } from '../promql/labels.ts';
import { QueryError } from '../promql/query-error.ts';
import type { SampledSeries } from '../promql/value.ts';
import type { SignalStore } from './store.ts';

export interface SeriesQuestion {
  /** A series fits when all of one list do. */
  readonly matchers: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
}

export interface SignalReader {
  samples(wanted: readonly Wanted[], signal: AbortSignal): Promise<Fetched>;
  series(
    question: SeriesQuestion,
    signal: AbortSignal,
  ): Promise<{ readonly series: readonly LabelSet[]; readonly warnings: readonly string[] }>;
  labels(
    question: SeriesQuestion,
    signal: AbortSignal,
  ): Promise<{ readonly labels: ReadonlyMap<string, ReadonlySet<string>>; readonly warnings: readonly string[] }>;
}

/** Samples that one question may load. */
const MAX_SAMPLES = 2_000_000;

/** Longest work without a break for others. */
const SLICE_MS = 8;

/** Of this replica; `others` names those whose signals are not in the answer. */
export function createLocalReader(store: SignalStore, others: () => readonly string[] = () => []): SignalReader {
  const warnings = (): readonly string[] =>
    others().map(replica => `replica ${replica} keeps the signals of its own proxies: they are not in this answer`);

  async function load(
    { selector, startMs, endMs }: Wanted,
    maxSamples: number,
    signal: AbortSignal,
  ): Promise<SampledSeries[]> {
    const { folded } = store;
    const found: SampledSeries[] = [];
    let sliceMs = performance.now();
    for (const parts of store.scan({ matchers: selector.matchers, startMs, endMs, maxSamples })) {
      found.push(...parts);
      if (performance.now() - sliceMs < SLICE_MS) continue;
      await new Promise(resolve => setImmediate(resolve));
      if (signal.aborted) throw new QueryError('timeout', 'query timed out in query execution');
      sliceMs = performance.now();
    }
    // Series moved while others had their turn: once more, in one go.
    return folded === store.folded
      ? found
      : [...store.select({ matchers: selector.matchers, startMs, endMs, maxSamples })];
  }

  return {
    samples: async (wanted, signal) => {
      let left = MAX_SAMPLES;
      const samples = new Map<Selector, readonly SampledSeries[]>();
      for (const one of wanted) {
        const found = await load(one, left, signal);
        left -= found.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
        samples.set(one.selector, found);
      }
      return { samples, warnings: warnings() };
    },
    series: ({ matchers, startMs, endMs }) => {
      const found = new Map<string, LabelSet>();
      for (const one of matchers)
        for (const { labels } of store.select({
          matchers: one,
          startMs,
          endMs,
          maxSamples: MAX_SAMPLES,
          labelsOnly: true,
        }))
          found.set(keyOf(labels), labels);
      return Promise.resolve({
        series: [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, labels]) => labels),
        warnings: [],
      });
    },
    labels: ({ matchers, startMs, endMs }) => {
      const found = new Map<string, Set<string>>();
      for (const one of matchers)
        for (const [name, values] of store.labels({ matchers: one, startMs, endMs }))
          found.set(name, new Set([...(found.get(name) ?? []), ...values]));
      return Promise.resolve({ labels: found, warnings: warnings() });
    },
  };
}
