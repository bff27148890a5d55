import type { StatRow } from '../contract/index.ts';
import { parseSamples } from './prometheus-text.ts';

/** Counters of one proxy's inbound side at one time, or the difference of two such. Latency buckets are cumulative, by upper bound in ms. */
export interface Traffic {
  readonly responses: number;
  readonly successes: number;
  readonly buckets: ReadonlyMap<number, number>;
  readonly tcpConnections: number;
}

const NAMES = new Set(['response_total', 'response_latency_ms_bucket', 'tcp_open_connections']);
export const NO_TRAFFIC: Traffic = { responses: 0, successes: 0, buckets: new Map(), tcpConnections: 0 };

/** From the metrics page of a proxy. */
export function readTraffic(page: string): Traffic {
  let responses = 0;
  let successes = 0;
  let tcpConnections = 0;
  const buckets = new Map<number, number>();
  for (const { name, labels, value } of parseSamples(page, NAMES)) {
    if (labels['direction'] !== 'inbound' || !Number.isFinite(value)) continue;
    if (name === 'response_total') {
      responses += value;
      if (labels['classification'] === 'success') successes += value;
    } else if (name === 'tcp_open_connections') {
      // Each connection is counted on both sides of the proxy; the side that dialled it is the one that matters.
      if (labels['peer'] !== 'dst') tcpConnections += value;
    } else {
      const bound = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
      if (!Number.isNaN(bound)) buckets.set(bound, (buckets.get(bound) ?? 0) + value);
    }
  }
  return { responses, successes, buckets, tcpConnections };
}

/** What came between two readings of the same proxy; one that was restarted between them counts from its start. */
export function difference(later: Traffic, earlier: Traffic): Traffic {
  const from = later.responses < earlier.responses ? NO_TRAFFIC : earlier;
  return {
    responses: later.responses - from.responses,
    successes: Math.max(0, later.successes - from.successes),
    buckets: new Map(
      [...later.buckets].map(([bound, count]) => [bound, Math.max(0, count - (from.buckets.get(bound) ?? 0))]),
    ),
    tcpConnections: later.tcpConnections,
  };
}

export function sum(parts: readonly Traffic[]): Traffic {
  const buckets = new Map<number, number>();
  for (const part of parts)
    for (const [bound, count] of part.buckets) buckets.set(bound, (buckets.get(bound) ?? 0) + count);
  const total = (pick: (part: Traffic) => number) => parts.reduce((all, part) => all + pick(part), 0);
  return {
    responses: total(part => part.responses),
    successes: total(part => part.successes),
    buckets,
    tcpConnections: total(part => part.tcpConnections),
  };
}

export type Figures = Pick<StatRow, 'requests' | 'successRate' | 'requestsPerSecond' | 'latencyMs' | 'tcpConnections'>;

/** `seconds` 0: no rate can be told. */
export function figuresOf(traffic: Traffic, seconds: number): Figures {
  const { responses, successes, buckets, tcpConnections } = traffic;
  const latency = (share: number) => Math.round(quantile(buckets, share) * 10) / 10;
  return {
    requests: responses,
    successRate: responses === 0 ? null : successes / responses,
    requestsPerSecond: seconds === 0 ? null : responses / seconds,
    latencyMs:
      (buckets.get(Number.POSITIVE_INFINITY) ?? 0) === 0
        ? null
        : { p50: latency(0.5), p95: latency(0.95), p99: latency(0.99) },
    tcpConnections,
  };
}

/** As Prometheus' histogram_quantile: linear within a bucket; in the last one, the highest finite bound. */
export function quantile(buckets: ReadonlyMap<number, number>, share: number): number {
  const sorted = [...buckets].toSorted(([a], [b]) => a - b);
  const rank = share * (sorted.at(-1)?.[1] ?? 0);
  let [lowerBound, lowerCount] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank && count > lowerCount) {
      if (!Number.isFinite(bound)) return lowerBound;
      return lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / (count - lowerCount);
    }
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}
