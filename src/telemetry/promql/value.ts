import type { LabelSet } from './labels.ts';

/** One series as stored: `timesMs` ascending, `values` beside it. */
export interface SampledSeries {
  readonly labels: LabelSet;
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
}

/** One series at one time. */
export interface Element {
  readonly labels: LabelSet;
  readonly value: number;
  /** Of the sample, for timestamp(); undefined once anything was calculated. */
  readonly sampleMs?: number;
}

export type Value =
  | { readonly kind: 'scalar'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'vector'; readonly elements: readonly Element[] };

/** The samples of one series within a range: `from` to `to`, the latter not included. */
export interface Window {
  readonly series: SampledSeries;
  readonly from: number;
  readonly to: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Index of the first time that is not before `ms`. */
export function firstNotBefore(timesMs: Float64Array, ms: number): number {
  let low = 0;
  let high = timesMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((timesMs[middle] ?? 0) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}
