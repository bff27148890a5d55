// histogram_quantile over classic histograms: linear within the bucket that the rank falls into.
import { omit, type LabelSet, keyOf, withoutName } from './labels.ts';
import type { Element } from './value.ts';

interface Bucket {
  readonly bound: number;
  count: number;
}

export function histogramQuantile(share: number, elements: readonly Element[]): readonly Element[] {
  const histograms = new Map<string, { readonly labels: LabelSet; readonly buckets: Bucket[] }>();
  for (const { labels, value } of elements) {
    const bound = boundOf(labels.get('le'));
    if (bound === undefined) continue;
    const rest = omit(withoutName(labels), ['le']);
    const key = keyOf(rest);
    let histogram = histograms.get(key);
    if (histogram === undefined) {
      histogram = { labels: rest, buckets: [] };
      histograms.set(key, histogram);
    }
    histogram.buckets.push({ bound, count: value });
  }
  return [...histograms.values()].map(({ labels, buckets }) => ({ labels, value: bucketQuantile(share, buckets) }));
}

function boundOf(le: string | undefined): number | undefined {
  if (le === undefined) return undefined;
  if (/^\+?Inf$/i.test(le)) return Number.POSITIVE_INFINITY;
  const bound = Number(le);
  return le === '' || Number.isNaN(bound) ? undefined : bound;
}

/** `buckets` cumulative, in any order. */
function bucketQuantile(share: number, unsorted: readonly Bucket[]): number {
  if (Number.isNaN(share)) return Number.NaN;
  if (share < 0) return Number.NEGATIVE_INFINITY;
  if (share > 1) return Number.POSITIVE_INFINITY;
  const buckets = merged(unsorted.toSorted((a, b) => a.bound - b.bound));
  const top = buckets.at(-1);
  if (top === undefined || top.bound !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN;
  // Sums of floating rates may fall by a hair from one bucket to the next.
  let most = Number.NEGATIVE_INFINITY;
  for (const bucket of buckets) {
    most = Math.max(most, bucket.count);
    bucket.count = most;
  }
  if (top.count === 0 || Number.isNaN(top.count)) return Number.NaN;
  let rank = share * top.count;
  const index = buckets.slice(0, -1).findIndex(bucket => bucket.count >= rank);
  if (index < 0) return buckets.at(-2)?.bound ?? Number.NaN;
  const bucket = buckets[index] ?? top;
  if (index === 0 && bucket.bound <= 0) return bucket.bound;
  const before = index === 0 ? { bound: 0, count: 0 } : (buckets[index - 1] ?? top);
  rank -= before.count;
  return before.bound + (bucket.bound - before.bound) * (rank / (bucket.count - before.count));
}

/** Several of one bound are one. */
function merged(sorted: readonly Bucket[]): Bucket[] {
  const result: Bucket[] = [];
  for (const { bound, count } of sorted) {
    const last = result.at(-1);
    if (last !== undefined && last.bound === bound) last.count += count;
    else result.push({ bound, count });
  }
  return result;
}
