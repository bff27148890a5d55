import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { fetchMetrics } from './metrics-fetcher.ts';
import { parseSamples } from './prometheus-text.ts';
import { statAnswer } from './stat.ts';
import { aPod, ports } from './testing.ts';
import { difference, figuresOf, quantile, readTraffic, sum } from './traffic.ts';

const signal = new AbortController().signal;

function page({ success = 0, failure = 0, connections = 0 }): string {
  return [
    '# TYPE response_total counter',
    `response_total{direction="inbound",classification="success",status_code="200"} ${success}`,
    `response_total{direction="inbound",classification="failure",status_code="500"} ${failure}`,
    'response_total{direction="outbound",classification="success"} 999',
    `response_latency_ms_bucket{direction="inbound",le="1"} ${success}`,
    `response_latency_ms_bucket{direction="inbound",le="10"} ${success + failure}`,
    `response_latency_ms_bucket{direction="inbound",le="+Inf"} ${success + failure}`,
    `tcp_open_connections{direction="inbound",peer="src"} ${connections}`,
    'tcp_open_connections{direction="inbound",peer="dst"} 50',
    '',
  ].join('\n');
}

test('samples are read with their labels; what cannot be read is left out', () => {
  const text = 'a{x="1",y="q\\"\\\\\\n,}"} 2.5e3\n# a comment\na 7 1700000000\nb{x="1"} 3\na{broken\na +Inf\n';
  expect(parseSamples(text, new Set(['a']))).toEqual([
    { name: 'a', labels: { x: '1', y: 'q"\\\n,}' }, value: 2500 },
    { name: 'a', labels: {}, value: 7 },
    { name: 'a', labels: {}, value: Number.POSITIVE_INFINITY },
  ]);
});

test('of a proxy the inbound side counts, and of its connections the callers', () => {
  const traffic = readTraffic(page({ success: 8, failure: 2, connections: 3 }));
  expect(traffic).toMatchObject({ responses: 10, successes: 8, tcpConnections: 3 });
  expect([...traffic.buckets]).toEqual([
    [1, 8],
    [10, 10],
    [Number.POSITIVE_INFINITY, 10],
  ]);
});

test('a proxy that was restarted between two readings counts from its start', () => {
  const later = readTraffic(page({ success: 5 }));
  expect(difference(later, readTraffic(page({ success: 100 })))).toMatchObject({ responses: 5, successes: 5 });
  expect(difference(later, readTraffic(page({ success: 2 })))).toMatchObject({ responses: 3, successes: 3 });
});

test('a quantile is interpolated within its bucket, and is no more than the last finite bound', () => {
  const buckets = new Map([
    [10, 50],
    [20, 100],
    [Number.POSITIVE_INFINITY, 100],
  ]);
  expect([0.25, 0.5, 0.75, 1].map(share => quantile(buckets, share))).toEqual([5, 10, 15, 20]);
  expect(
    quantile(
      new Map([
        [10, 0],
        [Number.POSITIVE_INFINITY, 4],
      ]),
      0.5,
    ),
  ).toBe(10);
  expect(quantile(new Map(), 0.5)).toBe(0);
});

test('without responses there is no rate of success and no latency', () => {
  expect(figuresOf(sum([]), 5)).toEqual({
    requests: 0,
    successRate: null,
    requestsPerSecond: 0,
    latencyMs: null,
    tcpConnections: 0,
  });
});

test('stat adds up the pods of a workload and names those that do not answer', async () => {
  const owned = (name: string, ip: string) => {
    const pod = aPod(name, { ip, labels: { 'pod-template-hash': 'abc' } }) as { metadata: object };
    return {
      ...pod,
      metadata: {
        ...pod.metadata,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', controller: true, uid: 'r' }],
      },
    };
  };
  const pages: Record<string, string> = {
    'http://10.0.0.1:4191/metrics': page({ success: 6 }),
    'http://[fd00::2]:4191/metrics': page({ success: 2, failure: 2 }),
  };
  const answer = await statAnswer(
    {
      ...ports({
        objects: [
          owned('web-1', '10.0.0.1'),
          owned('web-2', 'fd00::2'),
          owned('web-3', '10.0.0.3'),
          aPod('lone', { ip: '10.0.0.1', meshed: false }),
        ],
      }),
      fetchMetrics: async url => {
        const found = pages[url];
        if (found === undefined) throw new Error('refused');
        return found;
      },
    },
    { namespace: 'demo', windowSeconds: 0, signal },
  );
  expect(answer.rows).toMatchObject([
    {
      kind: 'Deployment',
      name: 'web',
      pods: { total: 3, meshed: 3 },
      requests: 10,
      successRate: 0.8,
      requestsPerSecond: null,
    },
  ]);
  expect(answer.unreachable).toEqual([{ namespace: 'demo', pod: 'web-3', reason: 'refused' }]);
});

test('with a window the figures are what came between two readings', async () => {
  let reading = 0;
  let nowMs = 0;
  const answer = await statAnswer(
    {
      ...ports({ objects: [aPod('web')] }),
      fetchMetrics: async () => page({ success: ++reading * 10 }),
      clock: { nowMs: () => (nowMs += 2000) },
    },
    { namespace: 'demo', windowSeconds: 0.01, signal },
  );
  expect(answer.rows).toMatchObject([{ requests: 10, requestsPerSecond: 5 }]);
});

test('no more than eight proxies are asked at once', async () => {
  let [now, most] = [0, 0];
  const objects = Array.from({ length: 40 }, (_, index) => aPod(`p${index}`));
  const fetchMetrics = async () => {
    now += 1;
    most = Math.max(most, now);
    await new Promise(resolve => setImmediate(resolve));
    now -= 1;
    return '';
  };
  await statAnswer({ ...ports({ objects }), fetchMetrics }, { namespace: 'demo', windowSeconds: 0, signal });
  expect(most).toBe(8);
});

test('a page is fetched, and anything but 200 is an error', async () => {
  const server = createServer(
    (request, response) => void response.writeHead(request.url === '/metrics' ? 200 : 404).end('a 1\n'),
  );
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(fetchMetrics(`http://127.0.0.1:${port}/metrics`, signal)).resolves.toBe('a 1\n');
  await expect(fetchMetrics(`http://127.0.0.1:${port}/other`, signal)).rejects.toThrow('answered 404');
  server.closeAllConnections();
  await new Promise(resolve => server.close(resolve));
});
