// Series of one label set that were counted in several places: their values add up.
import { keyOf } from './labels.ts';
import type { SampledSeries } from './value.ts';

/** Each label set once. A part counts nothing before its first sample, and its last value after its last. */
export function mergeSeries(all: readonly SampledSeries[]): readonly SampledSeries[] {
  const byKey = new Map<string, SampledSeries[]>();
  for (const series of all) {
    const key = keyOf(series.labels);
    const parts = byKey.get(key);
    if (parts === undefined) byKey.set(key, [series]);
    else parts.push(series);
  }
  return [...byKey.values()].flatMap(parts => (parts.length === 1 ? parts : [added(parts)]));
}

function added(parts: readonly SampledSeries[]): SampledSeries {
  const times = new Set<number>();
  for (const { timesMs } of parts) for (const time of timesMs) times.add(time);
  const timesMs = Float64Array.from(times).toSorted();
  const values = new Float64Array(timesMs.length);
  for (const part of parts) {
    let next = 0;
    let value = 0;
    for (let index = 0; index < timesMs.length; index += 1) {
      while (next < part.timesMs.length && (part.timesMs[next] ?? 0) <= (timesMs[index] ?? 0)) {
        value = part.values[next] ?? 0;
        next += 1;
      }
      values[index] = (values[index] ?? 0) + value;
    }
  }
  return { labels: parts[0]?.labels ?? new Map(), timesMs, values };
}
