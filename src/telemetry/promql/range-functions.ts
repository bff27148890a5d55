// Functions over the samples of a range. Both ends of the range count, as in Prometheus 2.
import type { Window } from './value.ts';

export type RangeFunction = (window: Window) => number | undefined;

const at = (values: Float64Array, index: number): number => values[index] ?? Number.NaN;

/**
 * How much a counter grew, or a gauge changed, within the whole range: what lies between the first and the last sample, carried on to the ends of the
 * range where the samples come that near to it (within 1.1 of their mean distance, else by half of one), and for counters never to before the
 * time at which they would have been zero.
 */
function extrapolated(window: Window, kind: 'counter' | 'gauge'): number | undefined {
  const { series, from, to, startMs, endMs } = window;
  if (to - from < 2) return undefined;
  const { timesMs, values } = series;
  const first = at(values, from);
  let result = at(values, to - 1) - first;
  if (kind === 'counter') {
    // A counter that became smaller began anew.
    for (let index = from + 1; index < to; index += 1)
      if (at(values, index) < at(values, index - 1)) result += at(values, index - 1);
  }
  const sampledMs = at(timesMs, to - 1) - at(timesMs, from);
  const meanMs = sampledMs / (to - from - 1);
  let toStartMs = at(timesMs, from) - startMs;
  const toEndMs = endMs - at(timesMs, to - 1);
  if (kind === 'counter' && result > 0 && first >= 0) toStartMs = Math.min(toStartMs, sampledMs * (first / result));
  const near = (ms: number): number => (ms < meanMs * 1.1 ? ms : meanMs / 2);
  return result * ((sampledMs + near(toStartMs) + near(toEndMs)) / sampledMs);
}

function rate(window: Window): number | undefined {
  const grown = extrapolated(window, 'counter');
  return grown === undefined ? undefined : grown / ((window.endMs - window.startMs) / 1_000);
}

/** By the last two samples only. */
function lastTwo({
  series,
  from,
  to,
}: Window): { readonly change: number; readonly last: number; readonly seconds: number } | undefined {
  if (to - from < 2) return undefined;
  const [before, last] = [at(series.values, to - 2), at(series.values, to - 1)];
  const seconds = (at(series.timesMs, to - 1) - at(series.timesMs, to - 2)) / 1_000;
  return seconds === 0 ? undefined : { change: last - before, last, seconds };
}

function irate(window: Window): number | undefined {
  const two = lastTwo(window);
  return two === undefined ? undefined : (two.change < 0 ? two.last : two.change) / two.seconds;
}

function steps(window: Window, counts: (before: number, after: number) => boolean): number {
  let count = 0;
  for (let index = window.from + 1; index < window.to; index += 1)
    if (counts(at(window.series.values, index - 1), at(window.series.values, index))) count += 1;
  return count;
}

function fold(window: Window, combine: (sum: number, value: number) => number): number {
  let result = at(window.series.values, window.from);
  for (let index = window.from + 1; index < window.to; index += 1)
    result = combine(result, at(window.series.values, index));
  return result;
}

const sum = (window: Window): number => fold(window, (total, value) => total + value);

/** A window that is given to one of them holds a sample at least. */
export const RANGE_FUNCTIONS: Readonly<Record<string, RangeFunction>> = {
  rate,
  increase: window => extrapolated(window, 'counter'),
  delta: window => extrapolated(window, 'gauge'),
  irate,
  idelta: window => lastTwo(window)?.change,
  changes: window =>
    steps(window, (before, after) => before !== after && !(Number.isNaN(before) && Number.isNaN(after))),
  resets: window => steps(window, (before, after) => after < before),
  avg_over_time: window => sum(window) / (window.to - window.from),
  sum_over_time: sum,
  count_over_time: window => window.to - window.from,
  min_over_time: window => fold(window, (least, value) => (value < least || Number.isNaN(least) ? value : least)),
  max_over_time: window => fold(window, (most, value) => (value > most || Number.isNaN(most) ? value : most)),
  last_over_time: window => at(window.series.values, window.to - 1),
  present_over_time: () => 1,
};

/** Keeps the name of the metric: its values are the metric's own. */
export const KEEPS_NAME: ReadonlySet<string> = new Set(['last_over_time']);
