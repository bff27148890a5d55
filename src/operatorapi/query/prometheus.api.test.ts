// The same samples in real Prometheus and here, the same questions to both: what is answered must be the same.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ok } from '../../kernel/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { METRICS } from '../../telemetry/index.ts';
import { SUM_COLUMN } from '../../telemetry/signals/kinds.ts';
import { createLocalReader } from '../../telemetry/signals/reader.ts';
import type { Reporter } from '../../telemetry/signals/series.ts';
import { createSignalStore, type SignalStore } from '../../telemetry/signals/store.ts';
import { createQueryApp } from './app.ts';

const START_MS = 1_800_000_000_000;
const TICKS = 180;
const END_MS = START_MS + TICKS * 10_000;

/** The same numbers in every run. */
function createDice(): (below: number) => number {
  let state = 42;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Pod {
  readonly reporter: Reporter;
  readonly from: number;
  readonly to: number;
  readonly failing: number;
}

/** Half an hour of traffic; pods come, go and fail. */
function fill(store: SignalStore): void {
  const dice = createDice();
  const pods: Pod[] = [
    ['podinfo', 'podinfo-6d4cf56db6-aaaaa', 0, TICKS, 10],
    ['podinfo', 'podinfo-6d4cf56db6-bbbbb', 30, TICKS, 3],
    ['podinfo-primary', 'podinfo-primary-7c9f-ccccc', 0, 120, 50],
    ['api', 'api-0', 60, 100, 2],
  ].map(([deployment, pod, from, to, failing]) => ({
    reporter: {
      own: ['deployment', String(deployment), 'namespace', 'test', 'pod', String(pod)],
      workload: [],
      lastSlot: 0,
    },
    from: Number(from),
    to: Number(to),
    failing: Number(failing),
  }));
  for (let tick = 0; tick <= TICKS; tick += 1) {
    const slot = store.advance(START_MS + tick * 10_000);
    for (const { reporter, from, to, failing } of pods) {
      if (tick < from || tick > to) continue;
      reporter.lastSlot = slot;
      for (const direction of ['inbound', 'outbound']) {
        // Some ticks have nothing to count.
        const count = dice(4) === 0 ? 0 : dice(200);
        if (count === 0) continue;
        const labels = (more: Record<string, string>) =>
          Object.entries({ direction, ...more, ...pairs(reporter.own) })
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
            .flat();
        store.add(store.resolve('request', labels({}), reporter), [0], [count], 1);
        const failed = Math.floor((count * failing) / 100);
        for (const [classification, status_code, amount] of [
          ['success', '200', count - failed],
          ['failure', '503', Math.max(1, failed)],
        ] as const) {
          const series = store.resolve('response', labels({ classification, status_code }), reporter);
          store.add(series, [dice(12), 12 + dice(13), SUM_COLUMN], [amount, dice(5), amount * 12_345], 3);
        }
        store.add(store.resolve('tcp', labels({ peer: 'src' }), reporter), [0, 1], [1 + dice(3), dice(100_000)], 2);
      }
    }
  }
}

const pairs = (flat: readonly string[]): Record<string, string> =>
  Object.fromEntries(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [])));

/** All samples in OpenMetrics; gauges all of them, because that format wants names that Linkerd's are not. */
function openMetrics(store: SignalStore): string {
  const lines: string[] = [];
  for (const { name } of METRICS) {
    const matchers = [{ name: '__name__', operator: '=' as const, value: name }];
    const all = store.select({ matchers, startMs: 0, endMs: END_MS, maxSamples: 1e8 });
    if (all.length > 0) lines.push(`# TYPE ${name} unknown`);
    for (const { labels, timesMs, values } of all) {
      const text = [...labels].filter(([label]) => label !== '__name__').map(([label, value]) => `${label}="${value}"`);
      for (const [index, timeMs] of timesMs.entries())
        lines.push(`${name}{${text.join(',')}} ${values[index]} ${timeMs / 1_000}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise(resolve => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Body {
  readonly status: string;
  readonly errorType?: string;
  readonly data?: { readonly resultType: string; readonly result: unknown };
}

type Ask = (path: string, parameters: Readonly<Record<string, string>>) => Promise<{ code: number; body: Body }>;

describe('beside real Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-prometheus-'));
  let stop = (): void => {};
  let here: Ask;
  let there: Ask;

  beforeAll(async () => {
    const store = createSignalStore();
    fill(store);
    writeFileSync(join(folder, 'samples'), openMetrics(store));
    const data = join(folder, 'data');
    execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'samples'), data], {
      stdio: 'pipe',
    });
    writeFileSync(join(folder, 'prometheus.yml'), 'global: {}\n');
    const port = await freePort();
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${data}`,
        '--storage.tsdb.retention.time=100y',
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore', cwd: folder },
    );
    const ended = new Promise(resolve => child.once('exit', resolve));
    stop = () => void child.kill('SIGKILL');
    const base = `http://127.0.0.1:${port}`;
    const deadlineMs = Date.now() + 60_000;
    for (;;) {
      const ready = await fetch(`${base}/-/ready`).then(
        ({ ok: good }) => good,
        () => false,
      );
      if (ready) break;
      if (Date.now() > deadlineMs || child.exitCode !== null) throw new Error('prometheus is not ready');
      await Promise.race([new Promise(resolve => setTimeout(resolve, 100)), ended]);
    }
    there = async (path, parameters) => {
      const response = await fetch(`${base}${path}?${new URLSearchParams(parameters).toString()}`);
      return { code: response.status, body: (await response.json()) as Body };
    };
    const app = createQueryApp({
      reader: createLocalReader(store),
      authenticator: { user: async () => await Promise.resolve(ok({ name: 'jane', uid: '', groups: [], extra: {} })) },
      authorizer: { allow: async () => await Promise.resolve(ok(true)) },
      identify: () => 'loopback',
      clock: { nowMs: () => END_MS },
      logger: silentLogger,
    });
    here = async (path, parameters) => {
      const url = `http://here${path}?${new URLSearchParams(parameters).toString()}`;
      const response = await app.request(url, {}, { incoming: { socket: { remoteAddress: '127.0.0.1' } } });
      return { code: response.status, body: (await response.json()) as Body };
    };
  });

  afterAll(() => {
    stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const FLAGGER = 'namespace="test",deployment=~"podinfo",direction="inbound"';
  const queries = [
    'vector(1)',
    `sum(rate(response_total{${FLAGGER},classification!="failure"}[1m])) / sum(rate(response_total{${FLAGGER}}[1m])) * 100`,
    `histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{${FLAGGER}}[1m])) by (le))`,
    'sum(rate(http_request_duration_seconds_count{kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)",status!~"5.*"}[1m])) / sum(rate(http_request_duration_seconds_count{kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[1m])) * 100',
    'histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[1m])) by (le))',
    'histogram_quantile(0.5, sum(irate(response_latency_ms_bucket[30s])) by (le, deployment))',
    'histogram_quantile(0.95, sum by (le, deployment, direction) (increase(response_latency_ms_bucket[5m])))',
    'rate(response_total[35s])',
    'increase(request_total{direction="outbound"}[2m30s])',
    'irate(request_total[1m])',
    'delta(request_total[1m])',
    'idelta(request_total[1m])',
    'changes(request_total[3m])',
    'resets(request_total[3m])',
    'sum by (deployment) (rate(response_total{classification="success"}[1m])) / on(deployment) sum by (deployment) (rate(response_total[1m]))',
    'sum(rate(response_latency_ms_sum[1m])) by (pod) / sum(rate(response_latency_ms_count[1m])) by (pod)',
    'response_total / on(pod, direction) group_left() request_total',
    'topk(2, sum by (pod) (rate(request_total[5m])))',
    'bottomk(1, sum by (pod) (rate(request_total[5m])))',
    'count by (deployment) (request_total)',
    'avg without (pod) (request_total)',
    'max(request_total) - min(request_total)',
    'quantile(0.3, request_total)',
    'group(request_total) by (deployment)',
    'request_total{pod!="api-0"} > 1000',
    'request_total > bool 1000',
    'request_total offset 1m',
    'rate(request_total[1m] offset 90s)',
    'request_total and on(pod) response_total{classification="failure"}',
    'request_total unless on(pod) response_total{deployment="api"}',
    'sum(missing) or vector(0)',
    'request_total{deployment="api"} or request_total{deployment="podinfo"}',
    'clamp_max(clamp_min(request_total, 100), 5000)',
    'clamp(request_total, 10, 20)',
    'label_replace(request_total, "app", "$1-x", "pod", "(.*)-[^-]*")',
    'label_join(request_total, "both", "/", "namespace", "pod")',
    'round(rate(request_total[1m]), 0.1)',
    'ceil(sqrt(request_total)) % 7 + 2 ^ 3 ^ 0.5 - -1',
    'abs(-request_total)',
    'ln(request_total) + log2(request_total) + log10(request_total) + exp(1 / request_total)',
    'sgn(request_total - 5000)',
    'avg_over_time(request_total[1m]) + max_over_time(request_total[1m]) - min_over_time(request_total[1m])',
    'sum_over_time(request_total[1m]) / count_over_time(request_total[1m])',
    'last_over_time(request_total[1m])',
    'present_over_time(request_total[1m])',
    'absent(request_total{pod="none",namespace=~"x"})',
    'absent(request_total)',
    'scalar(sum(request_total)) + time()',
    'timestamp(request_total)',
    'sort_desc(sum by (pod) (request_total))',
    '{__name__=~"tcp_.*",pod=~"podinfo-.+"}',
    'tcp_open_total{peer="src",pod=~"a.*|b.*"}',
    '1 + 2 * 3 / 4 - 5 % 3 ^ 2',
    '1 > bool 2',
    '"text"',
    'request_total[30s]',
    'sum(rate(request_total{direction="inbound"}[1m])) by (pod) * 2 == 2 * sum by (pod) (rate(request_total{direction="inbound"}[1m]))',
  ];
  const times = [65_000, 612_345, 1_199_999, 1_300_000, END_MS - START_MS].map(ms => String((START_MS + ms) / 1_000));

  it.each(queries)('%s', async query => {
    for (const time of times) {
      const [ours, theirs] = [
        await here('/api/v1/query', { query, time }),
        await there('/api/v1/query', { query, time }),
      ];
      expect([ours.code, ...difference(ours.body, theirs.body)], `at ${time}`).toEqual([200]);
    }
  });

  it.each(queries.filter(query => !/^"|\[30s\]$|^(topk|bottomk|sort_desc)/.test(query)))(
    '%s, over a range',
    async query => {
      const range = { query, start: String(START_MS / 1_000 - 60), end: String(END_MS / 1_000), step: '37s' };
      const [ours, theirs] = [await here('/api/v1/query_range', range), await there('/api/v1/query_range', range)];
      expect([ours.code, ...difference(ours.body, theirs.body)]).toEqual([200]);
    },
  );

  it.each([
    'sum(',
    'rate(request_total)',
    'request_total{',
    '1 == 2',
    '{}',
    'request_total{pod=~"("}',
    'sum(request_total[1m])',
    'no such thing',
  ])('refuses %s as well', async query => {
    const [ours, theirs] = [await here('/api/v1/query', { query }), await there('/api/v1/query', { query })];
    expect([ours.code, ours.body.status, ours.body.errorType]).toEqual([400, 'error', 'bad_data']);
    expect([theirs.code, theirs.body.errorType]).toEqual([400, 'bad_data']);
  });

  it('lists the same series, labels and values', async () => {
    const window = { start: String(START_MS / 1_000), end: String(END_MS / 1_000) };
    for (const [path, parameters] of [
      ['/api/v1/series', { 'match[]': '{__name__=~"request_total|response_total"}' }],
      ['/api/v1/labels', {}],
      ['/api/v1/label/pod/values', {}],
      ['/api/v1/label/le/values', { 'match[]': 'response_latency_ms_bucket' }],
      ['/api/v1/label/__name__/values', {}],
    ] as const) {
      const [ours, theirs] = [
        await here(path, { ...window, ...parameters }),
        await there(path, { ...window, ...parameters }),
      ];
      const sorted = (data: unknown) => (Array.isArray(data) ? data.map(one => JSON.stringify(one)).toSorted() : data);
      expect(sorted(ours.body.data), path).toEqual(sorted(theirs.body.data));
    }
  });
});

/** What of two answers differs. Series in any order, for nothing promises one; numbers within 1e-9, for sums of floats depend on theirs. */
function difference(ours: Body, theirs: Body): readonly string[] {
  const [a, b] = [flat(ours), flat(theirs)];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap(key => {
    const [mine, other] = [a.get(key), b.get(key)];
    return mine !== undefined && other !== undefined && isNear(mine, other) ? [] : [`${key}: ${mine} is not ${other}`];
  });
}

function isNear(a: string, b: string): boolean {
  const [x, y] = [Number(a), Number(b)];
  return a === b || Math.abs(x - y) <= 1e-9 * Math.max(Math.abs(x), Math.abs(y));
}

/** Every value by its series and time. */
function flat({ status, data }: Body): ReadonlyMap<string, string> {
  const values = new Map([['status', status]]);
  if (data === undefined) return values;
  values.set('resultType', data.resultType);
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    const [time, value] = data.result as readonly [number, string];
    return values.set(`at ${time}`, value);
  }
  for (const { metric, value, values: several = [] } of data.result as readonly Result[]) {
    const name = JSON.stringify(Object.entries(metric).toSorted(([x], [y]) => (x < y ? -1 : 1)));
    for (const [time, text] of value === undefined ? several : [value]) values.set(`${name} at ${time}`, text);
  }
  return values;
}

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}
