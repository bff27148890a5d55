// What is asked of the signals, by the query API here and by other replicas.
import type { Fetched, Wanted } from '../promql/engine.ts';
import type { Matcher } from '../promql/expression.ts';
import { keyOf, type LabelSet } from '../promql/labels.ts';
import { QueryError } from '../promql/query-error.ts';
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
const MAX_SAMPLES = 5_000_000;
/** Series that one answer may list. */
const MAX_SERIES = 50_000;

/** Of this replica alone. */
export function createLocalReader(store: SignalStore): SignalReader {
  return {
    samples: (wanted, signal) => {
      let left = MAX_SAMPLES;
      const samples = new Map(
        wanted.map(({ selector, startMs, endMs }) => {
          if (signal.aborted) throw new QueryError('timeout', 'query timed out in query execution');
          const found = store.select({ matchers: selector.matchers, startMs, endMs, maxSamples: left });
          left -= found.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
          return [selector, found] as const;
        }),
      );
      return Promise.resolve({ samples, warnings: [] });
    },
    series: ({ matchers, startMs, endMs }) => {
      const found = new Map<string, LabelSet>();
      for (const one of matchers)
        for (const { labels } of store.select({
          matchers: one,
          startMs,
          endMs,
          maxSamples: MAX_SERIES,
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
      return Promise.resolve({ labels: found, warnings: [] });
    },
  };
}
