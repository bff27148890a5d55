import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  eventually,
  evidence,
  fileNamespace,
  goldenSignals,
  type Queried,
  type RunningLoad,
  serverApp,
  service,
  startLoad,
  startPrometheus,
  viewerToken,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = fileNamespace('golden-signals');
const RATE = 20;
/** Prometheus and proxies look every ten seconds, each in their own step: at one time either may be so far behind the other. */
const STEP_SECONDS = 10;

let weft: Queried;
let prometheus: Queried & { stop(): Promise<void> };
let loads: readonly RunningLoad[] = [];

beforeAll(async () => {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all(['web', 'client'].map(app => waitRollout(namespace, app)));
  await waitAnswered(namespace, 'client');
  prometheus = await startPrometheus(namespace, '127.0.0.1:9190');
  weft = await goldenSignals(await viewerToken(namespace));
  const spec = { protocol: 'http1', rate: RATE, durationMs: 600_000, concurrency: 8 } as const;
  loads = [
    await startLoad(namespace, 'client', { ...spec, target: 'http://web/delay/15' }),
    await startLoad(namespace, 'client', { ...spec, rate: RATE / 4, target: 'http://web/status/503' }),
  ];
});

afterAll(async () => {
  for (const load of loads) evidence('golden signals', await load.stop());
  await prometheus?.stop();
});

const inbound = `namespace="${namespace}",deployment=~"web",direction="inbound"`;
const outbound = `namespace="${namespace}",deployment="client",direction="outbound"`;
const all = RATE * 1.25;
const pods = `kubernetes_namespace="${namespace}",kubernetes_pod_name=~"web-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"`;

/**
 * What both must say: `about`, give or take `within`. A machine under load decides the slowest hundredth, so of that no more is said than that it is known.
 * Every bucket is there twice: for the client, which has an identity, and for the probes of the kubelet, which have none.
 */
const questions: readonly {
  readonly query: string;
  readonly about: number;
  readonly within: number;
  readonly alone?: boolean;
}[] = [
  {
    query: `sum(rate(response_total{${inbound},classification!="failure"}[1m])) / sum(rate(response_total{${inbound}}[1m])) * 100`,
    about: 80,
    within: 3,
  },
  {
    query: `histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{${inbound}}[1m])) by (le))`,
    about: 510,
    within: 500,
  },
  {
    query: `histogram_quantile(0.5, sum(rate(response_latency_ms_bucket{${inbound}}[1m])) by (le))`,
    about: 15,
    within: 6,
  },
  { query: `sum(rate(request_total{${inbound}}[1m]))`, about: all, within: all * 0.2 },
  { query: `sum(increase(response_total{${outbound}}[1m]))`, about: all * 60, within: all * 60 * 0.2 },
  { query: `sum(rate(response_total{${outbound},status_code="503"}[1m]))`, about: RATE / 4, within: 1.5 },
  { query: `sum by (dst_deployment) (rate(response_total{${outbound}}[1m]))`, about: all, within: all * 0.2 },
  { query: `sum by (client_id) (rate(response_total{${inbound},tls="true"}[1m]))`, about: all, within: all * 0.2 },
  { query: `sum(irate(response_total{${inbound}}[1m]))`, about: all, within: all * 0.4 },
  {
    query: `sum(rate(response_latency_ms_sum{${inbound},status_code="200"}[1m])) / sum(rate(response_latency_ms_count{${inbound},status_code="200"}[1m]))`,
    about: 17,
    within: 8,
  },
  {
    query: `topk(1, sum by (deployment) (rate(request_total{namespace="${namespace}",direction="inbound"}[1m])))`,
    about: all,
    within: all * 0.2,
  },
  { query: `count(count by (pod) (request_total{${inbound}}))`, about: 1, within: 0 },
  { query: `count(response_latency_ms_bucket{${inbound},status_code="200"})`, about: 52, within: 0 },
  {
    query: `sum(rate(tcp_write_bytes_total{namespace="${namespace}",deployment="web",peer="src"}[1m])) > bool 0`,
    about: 1,
    within: 0,
  },
  { query: `sum(rate(nothing{namespace="${namespace}"}[1m])) or vector(0)`, about: 0, within: 0 },
  {
    query: `sum(rate(http_request_duration_seconds_count{${pods},status!~"5.*"}[1m])) / sum(rate(http_request_duration_seconds_count{${pods}}[1m])) * 100`,
    about: 80,
    within: 3,
    alone: true,
  },
  {
    query: `histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{${pods}}[1m])) by (le))`,
    about: 0.51,
    within: 0.5,
    alone: true,
  },
];

describe('golden signals', () => {
  it('say the same as a Prometheus that scrapes the proxies', async () => {
    const ready = `sum(rate(request_total{${inbound}}[1m]))`;
    // A whole range of traffic, in both.
    await eventually(
      'a minute of traffic is known',
      async () => {
        const now = Date.now() / 1_000;
        const past = await Promise.all(
          [weft, prometheus].map(async one => (await one.query(ready, now - 60)).size > 0),
        );
        return past.every(Boolean);
      },
      { deadlineMs: 240_000 },
    );
    const at = Date.now() / 1_000 - STEP_SECONDS;
    const wrong: string[] = [];
    for (const { query, about, within, alone = false } of questions) {
      const [ours, theirs] = [await weft.query(query, at), alone ? undefined : await prometheus.query(query, at)];
      const values = [...ours.values(), ...(theirs?.values() ?? [])];
      console.log(
        `${query.replaceAll(namespace, 'ns')} => ${[...ours.values()].join(' ')} | ${theirs === undefined ? '-' : [...theirs.values()].join(' ')}`,
      );
      if (values.length === 0 || !values.every(value => Math.abs(value - about) <= within))
        wrong.push(`${query}: ${values.join(' ')}, wanted ${about}`);
      if (
        theirs !== undefined &&
        JSON.stringify([...ours.keys()].toSorted()) !== JSON.stringify([...theirs.keys()].toSorted())
      )
        wrong.push(`${query}: ${[...ours.keys()].join(' ')} is not ${[...theirs.keys()].join(' ')}`);
    }
    expect(wrong).toEqual([]);
  });

  it('are shown to those who may see them and to nobody else', async () => {
    const now = Date.now() / 1_000;
    const query = `sum(request_total{${inbound}})`;
    expect((await weft.query(query, now)).size).toBe(1);
    await expect(weft.query('sum(request_total)', now)).rejects.toThrow('may not get stat.weft.dev in all namespaces');
    await expect(weft.query('sum(request_total{namespace="weft-system"})', now)).rejects.toThrow(
      'may not get stat.weft.dev',
    );
    await expect((await goldenSignals('none')).query(query, now)).rejects.toThrow('does not accept the token');
  });
});
