import { beforeEach, describe, expect, it } from 'vitest';
import { podKey } from '../../kernel/index.ts';
import type { Report, ReportStream, Who } from '../../model/index.ts';
import { createReports, type Reports } from './reports.ts';
import { createSignalStore, type SignalStore } from './store.ts';

const NOW_MS = 1_800_000_000_000;
const OUTBOUND =
  'direction="outbound",namespace="forged",pod="forged",deployment="forged",dst_namespace="demo",dst_deployment="api",dst_pod="api-1",tls="true",authz_name="x"';

function aWho(pod: string): Who {
  return {
    podKey: podKey('demo', pod),
    podUid: `uid-${pod}`,
    view: { mesh: 'default', namespace: 'demo', zone: '', node: '' },
  };
}

const aReport = (overrides: Partial<Report> = {}): Report => ({
  instance: 7n,
  sequence: 1,
  names: [{ id: 1, labels: OUTBOUND }],
  requests: [
    {
      name: 1,
      begun: 5,
      responses: [
        {
          status: 200,
          grpcStatus: 0,
          failure: false,
          error: '',
          overflow: false,
          buckets: [3, 4],
          latencySumUs: 14_000,
        },
        {
          status: 503,
          grpcStatus: undefined,
          failure: true,
          error: 'no_endpoint',
          overflow: false,
          buckets: [0, 1],
          latencySumUs: 100,
        },
      ],
    },
  ],
  connections: [{ name: 1, opened: 2, closed: [{ errno: '', count: 1 }], readBytes: 1e12, writtenBytes: 10 }],
  ...overrides,
});

describe('reports', () => {
  let store: SignalStore;
  let reports: Reports;
  let nowMs: number;

  beforeEach(() => {
    nowMs = NOW_MS;
    store = createSignalStore();
    reports = createReports({
      store,
      clock: { nowMs: () => nowMs },
      own: ({ podKey: key }) => [
        { name: 'deployment', value: 'web' },
        { name: 'namespace', value: 'demo' },
        { name: 'pod', value: key.split('/').at(-1) ?? '' },
      ],
    });
  });

  const newest = (metric: string, labels: Readonly<Record<string, string>> = {}): number =>
    store
      .select({
        matchers: [['__name__', metric], ...Object.entries(labels)].map(([name = '', value = '']) => ({
          name,
          operator: '=',
          value,
        })),
        startMs: 0,
        endMs: nowMs,
        maxSamples: 1e6,
      })
      .reduce((sum, { values }) => sum + (values.at(-1) ?? 0), 0);
  const open = (pod = 'web-1'): ReportStream => reports.open(aWho(pod));

  it('are counted under what the operator knows of the proxy, whatever the proxy says of itself', () => {
    expect(open().receive(aReport()).ok).toBe(true);
    const [series] = store.select({
      matchers: [{ name: '__name__', operator: '=', value: 'request_total' }],
      startMs: 0,
      endMs: nowMs,
      maxSamples: 1e6,
    });
    expect(Object.fromEntries(series?.labels ?? [])).toEqual({
      __name__: 'request_total',
      deployment: 'web',
      direction: 'outbound',
      dst_deployment: 'api',
      dst_namespace: 'demo',
      namespace: 'demo',
      pod: 'web-1',
      tls: 'true',
    });
  });

  it('are told as the metrics of the proxy', () => {
    open().receive(aReport());
    expect(newest('request_total')).toBe(5);
    expect(newest('response_total', { classification: 'success', status_code: '200', grpc_status: '0' })).toBe(4);
    expect(newest('response_total', { classification: 'failure', error: 'no_endpoint' })).toBe(1);
    expect(newest('response_latency_ms_bucket', { le: '3', status_code: '200' })).toBe(0);
    expect(newest('response_latency_ms_bucket', { le: '4', status_code: '200' })).toBe(4);
    expect(newest('response_latency_ms_sum', { status_code: '200' })).toBe(14);
    expect(newest('tcp_open_total')).toBe(2);
    expect(newest('tcp_close_total')).toBe(1);
    expect(newest('tcp_read_bytes_total')).toBe(1e12);
  });

  it('count once, however often they are sent, and on whichever stream', () => {
    const stream = open();
    stream.receive(aReport());
    stream.receive(aReport());
    open().receive(aReport());
    expect(newest('request_total')).toBe(5);
    stream.receive(aReport({ sequence: 2, names: [] }));
    expect(newest('request_total')).toBe(10);
    open().receive(aReport({ sequence: 2 }));
    expect(newest('request_total')).toBe(10);
  });

  it('of a proxy that was started anew count from its first sequence again, and so do those of another pod', () => {
    open().receive(aReport({ sequence: 9 }));
    open().receive(aReport({ instance: 8n }));
    open('web-2').receive(aReport());
    expect(newest('request_total')).toBe(15);
    expect(newest('request_total', { pod: 'web-2' })).toBe(5);
  });

  it('without anything new still say that the proxy is there', () => {
    const stream = open();
    stream.receive(aReport());
    nowMs += 60_000;
    stream.receive(aReport({ sequence: 2, names: [], requests: [], connections: [] }));
    const [series] = store.select({
      matchers: [{ name: '__name__', operator: '=', value: 'request_total' }],
      startMs: 0,
      endMs: nowMs,
      maxSamples: 1e6,
    });
    expect(series?.timesMs.at(-1)).toBe(nowMs);
  });

  it('that cannot be read are refused whole', () => {
    const requests = aReport().requests;
    expect(open().receive(aReport({ names: [] }))).toMatchObject({
      ok: false,
      error: 'nothing is called 1 on this stream',
    });
    expect(open().receive(aReport({ names: [{ id: 1, labels: 'a="' }] }))).toMatchObject({ ok: false });
    expect(open().receive(aReport({ names: [{ id: 1, labels: 'a="1",a="2"' }] }))).toMatchObject({ ok: false });
    for (const amount of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60])
      expect(open().receive(aReport({ requests: [...requests, { name: 1, begun: amount, responses: [] }] })).ok).toBe(
        false,
      );
    expect(newest('request_total')).toBe(0);
    expect(open().receive(aReport()).ok).toBe(true);
  });

  it('of more label sets than one stream may name are counted for the workload', () => {
    const stream = open();
    for (let id = 1; id <= 4_100; id += 1) {
      const labels = `direction="inbound",client_id="c${id}"`;
      stream.receive(
        aReport({
          sequence: id,
          names: [{ id, labels }],
          requests: [{ name: id, begun: 1, responses: [] }],
          connections: [],
        }),
      );
    }
    expect(newest('request_total', { overflow: 'workload', deployment: 'web' })).toBe(100);
    expect(newest('request_total')).toBe(4_100);
  });

  it('of proxies that have long gone are forgotten', () => {
    open().receive(aReport());
    reports.sweep();
    open().receive(aReport());
    expect(newest('request_total')).toBe(5);
    nowMs += 2 * 3_600_000;
    reports.sweep();
    open().receive(aReport());
    expect(newest('request_total')).toBe(10);
  });
});
