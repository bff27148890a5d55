// What is counted, by kind of series: its columns, and the metrics that they are told as. Names, labels and bounds are those of the proxy's own page.

/** Upper bounds of the latency buckets in milliseconds; `BUCKETS_MS` of the proxy. One more bucket holds what exceeds them all. */
export const BUCKETS_MS = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000, 30_000,
  40_000, 50_000,
] as const;
const BUCKETS = BUCKETS_MS.length + 1;
/** Sum of latencies in microseconds, behind the buckets. */
export const SUM_COLUMN = BUCKETS;

export const KINDS = ['request', 'response', 'tcp', 'close'] as const;
export type Kind = (typeof KINDS)[number];

/** Columns: request, close: the count. response: the buckets, not cumulative, then the sum. tcp: opened, read, written. */
export const COLUMNS: Readonly<Record<Kind, number>> = { request: 1, response: BUCKETS + 1, tcp: 3, close: 1 };

/** One value of a metric: the sum of some columns, scaled. */
export interface Part {
  /** Of the label `le`; undefined: there is none. */
  readonly le: string | undefined;
  readonly columns: readonly number[];
  readonly scale: number;
}

export interface Metric {
  readonly name: string;
  readonly kind: Kind;
  readonly type: 'counter' | 'histogram';
  readonly parts: readonly Part[];
  /** Told under other labels than the series has; undefined of a series: it is not told. */
  readonly labels?: (valueOf: (name: string) => string) => readonly (readonly [string, string])[] | undefined;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const sum = (...columns: readonly number[]): Part => ({ le: undefined, columns, scale: 1 });
const all = sum(...range(BUCKETS));

const buckets = (perUnit: number): readonly Part[] =>
  range(BUCKETS).map(index => {
    const bound = BUCKETS_MS[index];
    return { le: bound === undefined ? '+Inf' : String(bound / perUnit), columns: range(index + 1), scale: 1 };
  });
const latencySum = (perSecond: number): Part => ({ le: undefined, columns: [SUM_COLUMN], scale: perSecond / 1e6 });

/** What applications export under this name, and Flagger asks for where it knows of no mesh: inbound requests by pod and status. */
const ofApplications: Metric['labels'] = valueOf =>
  valueOf('direction') === 'inbound'
    ? [
        ['kubernetes_namespace', valueOf('namespace')],
        ['kubernetes_pod_name', valueOf('pod')],
        ['status', valueOf('status_code')],
      ]
    : undefined;

export const METRICS: readonly Metric[] = [
  { name: 'request_total', kind: 'request', type: 'counter', parts: [sum(0)] },
  { name: 'response_total', kind: 'response', type: 'counter', parts: [all] },
  { name: 'response_latency_ms_bucket', kind: 'response', type: 'histogram', parts: buckets(1) },
  { name: 'response_latency_ms_sum', kind: 'response', type: 'histogram', parts: [latencySum(1_000)] },
  { name: 'response_latency_ms_count', kind: 'response', type: 'histogram', parts: [all] },
  { name: 'tcp_open_total', kind: 'tcp', type: 'counter', parts: [sum(0)] },
  { name: 'tcp_close_total', kind: 'close', type: 'counter', parts: [sum(0)] },
  { name: 'tcp_read_bytes_total', kind: 'tcp', type: 'counter', parts: [sum(1)] },
  { name: 'tcp_write_bytes_total', kind: 'tcp', type: 'counter', parts: [sum(2)] },
  {
    name: 'http_request_duration_seconds_bucket',
    kind: 'response',
    type: 'histogram',
    parts: buckets(1_000),
    labels: ofApplications,
  },
  {
    name: 'http_request_duration_seconds_sum',
    kind: 'response',
    type: 'histogram',
    parts: [latencySum(1)],
    labels: ofApplications,
  },
  {
    name: 'http_request_duration_seconds_count',
    kind: 'response',
    type: 'histogram',
    parts: [all],
    labels: ofApplications,
  },
];
