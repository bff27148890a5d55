import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { AppError, err, ok } from '../../kernel/index.ts';
import { snapshotOf } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { createLocalReader } from '../../telemetry/signals/reader.ts';
import { createSignalStore } from '../../telemetry/signals/store.ts';
import type { Access, User } from '../ports.ts';
import { aPod, constant, NOW_MS, SERVER_NAME, servingPair } from '../testing.ts';
import { createQueryApp } from './app.ts';
import { createCallers } from './callers.ts';
import { createQueryApi, type QueryApi } from './server.ts';

const open: QueryApi[] = [];
const serving = await servingPair();

afterEach(async () => {
  for (const api of open.splice(0)) await api.close();
});

/** Ninety good and ten bad requests at each of seven ticks, the last one now. */
function aStore() {
  const store = createSignalStore();
  const reporter = { own: [], workload: [], lastSlot: 0 };
  for (let tick = 6; tick >= 0; tick -= 1) {
    reporter.lastSlot = store.advance(NOW_MS - tick * 10_000);
    for (const [classification, status, amount] of [
      ['success', '200', 90],
      ['failure', '500', 10],
    ] as const) {
      const labels = [
        'classification',
        classification,
        'deployment',
        'podinfo',
        'direction',
        'inbound',
        'namespace',
        'test',
        'pod',
        'podinfo-7d-x',
        'status_code',
        status,
      ];
      store.add(store.resolve('response', labels, reporter), [3], [amount], 1);
    }
  }
  return store;
}

interface Setup {
  readonly port: number;
  readonly asked: Access[];
}

async function start(
  options: {
    readonly allow?: readonly string[];
    readonly may?: (access: Access) => boolean;
    readonly others?: readonly string[];
  } = {},
): Promise<Setup> {
  const { allow = [], may = () => true, others = [] } = options;
  const asked: Access[] = [];
  const { snapshot } = snapshotOf([aPod('flagger', { ip: '127.0.0.2' })]);
  const api = createQueryApi({
    port: 0,
    host: '127.0.0.1',
    servingCertificate: constant(serving.leaf),
    clientCa: constant(serving.ca.certificatePem),
    reader: createLocalReader(aStore(), () => others),
    authenticator: {
      user: async token =>
        await Promise.resolve(
          token === 'good'
            ? ok({ name: 'jane', uid: '', groups: [], extra: {} } satisfies User)
            : err(new AppError('unauthenticated', 'unknown token')),
        ),
    },
    authorizer: {
      allow: async (_, access) => {
        asked.push(access);
        return await Promise.resolve(may(access) ? ok(true) : err(new AppError('permission-denied', 'jane may not')));
      },
    },
    identify: createCallers(allow, () => snapshot.pods.values()),
    clock: { nowMs: () => NOW_MS },
    logger: silentLogger,
  });
  open.push(api);
  return { port: await api.listen(), asked };
}

interface Answer {
  readonly code: number;
  readonly body: {
    readonly status: string;
    readonly data?: unknown;
    readonly errorType?: string;
    readonly error?: string;
  };
}

interface Ask {
  readonly token?: string;
  readonly plain?: boolean;
  readonly post?: boolean;
}

async function ask(
  port: number,
  path: string,
  parameters: Record<string, string> = {},
  options: Ask = {},
): Promise<Answer> {
  const { token = 'good', plain = false, post = false } = options;
  const encoded = new URLSearchParams(parameters).toString();
  const common = {
    host: '127.0.0.1',
    port,
    agent: false,
    method: post ? 'POST' : 'GET',
    path: post ? path : `${path}?${encoded}`,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(post ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
    },
  };
  return await new Promise((resolve, reject) => {
    const outgoing = plain
      ? plainRequest(common)
      : request({ ...common, servername: SERVER_NAME, ca: serving.ca.certificatePem });
    outgoing.once('error', reject);
    outgoing.once('response', response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => void (text += chunk));
      response.once('end', () => resolve({ code: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    outgoing.end(post ? encoded : undefined);
  });
}

const NOW = NOW_MS / 1_000;
const RATE =
  'sum(rate(response_total{namespace="test",deployment=~"podinfo",classification!="failure",direction="inbound"}[1m])) / sum(rate(response_total{namespace="test",deployment=~"podinfo",direction="inbound"}[1m])) * 100';

describe('the query API', () => {
  it('answers what Flagger asks, by GET and by POST, as Prometheus does', async () => {
    const { port } = await start();
    const want = {
      code: 200,
      body: { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [NOW, '90'] }] } },
    };
    expect(await ask(port, '/api/v1/query', { query: RATE })).toEqual(want);
    expect(await ask(port, '/api/v1/query', { query: RATE, time: String(NOW) }, { post: true })).toEqual(want);
    const ofApplications =
      'sum(rate(http_request_duration_seconds_count{kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)",status!~"5.*"}[1m])) / sum(rate(http_request_duration_seconds_count{kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[1m])) * 100';
    expect(await ask(port, '/api/v1/query', { query: ofApplications })).toEqual(want);
    expect((await ask(port, '/api/v1/query', { query: 'vector(1)' })).body.data).toEqual({
      resultType: 'vector',
      result: [{ metric: {}, value: [NOW, '1'] }],
    });
  });

  it('answers ranges, series, labels and their values', async () => {
    const { port } = await start();
    const range = await ask(port, '/api/v1/query_range', {
      query: 'sum(response_total)',
      start: String(NOW - 20),
      end: String(NOW),
      step: '10s',
    });
    expect(range.body.data).toEqual({
      resultType: 'matrix',
      result: [
        {
          metric: {},
          values: [
            [NOW - 20, '500'],
            [NOW - 10, '600'],
            [NOW, '700'],
          ],
        },
      ],
    });
    const series = await ask(port, '/api/v1/series', { 'match[]': 'response_total{status_code="500"}' });
    expect(series.body.data).toEqual([
      {
        __name__: 'response_total',
        classification: 'failure',
        deployment: 'podinfo',
        direction: 'inbound',
        namespace: 'test',
        pod: 'podinfo-7d-x',
        status_code: '500',
      },
    ]);
    expect((await ask(port, '/api/v1/label/status_code/values')).body.data).toEqual(['200', '500']);
    expect(
      (await ask(port, '/api/v1/label/__name__/values', { 'match[]': '{__name__=~"response_latency.*"}' })).body.data,
    ).toEqual(['response_latency_ms_bucket', 'response_latency_ms_count', 'response_latency_ms_sum']);
    expect((await ask(port, '/api/v1/labels', { 'match[]': 'response_total' })).body.data).toEqual([
      '__name__',
      'classification',
      'deployment',
      'direction',
      'namespace',
      'pod',
      'status_code',
    ]);
  });

  it('tells what is wrong as Prometheus does', async () => {
    const { port } = await start();
    const refused = async (path: string, parameters: Record<string, string>) => {
      const { code, body } = await ask(port, path, parameters);
      return [code, body.status, body.errorType, body.error?.slice(0, 40)];
    };
    expect(await refused('/api/v1/query', { query: 'sum(' })).toEqual([
      400,
      'error',
      'bad_data',
      '1:5: parse error: unexpected end of inpu',
    ]);
    expect(await refused('/api/v1/query', { query: 'x[5m:1m]' })).toEqual([
      400,
      'error',
      'bad_data',
      'a subquery is not supported: Weft answer',
    ]);
    expect(await refused('/api/v1/query', { query: '1', time: 'soon' })).toEqual([
      400,
      'error',
      'bad_data',
      expect.any(String),
    ]);
    expect(await refused('/api/v1/query_range', { query: '1', start: '0', end: '20000', step: '1' })).toEqual([
      400,
      'error',
      'bad_data',
      expect.any(String),
    ]);
    expect(await refused('/api/v1/query_range', { query: '1', start: '0', end: '1' })).toEqual([
      400,
      'error',
      'bad_data',
      expect.any(String),
    ]);
    expect(await refused('/api/v1/series', {})).toEqual([400, 'error', 'bad_data', 'no match[] parameter provided']);
    expect(await refused('/api/v1/query', { query: 'response_total / on() response_total' })).toEqual([
      422,
      'error',
      'execution',
      expect.any(String),
    ]);
    expect(await refused('/api/v1/rules', {})).toEqual([404, 'error', 'not_found', expect.any(String)]);
  });

  it('asks for the right in the namespaces that a question is confined to, else in all', async () => {
    const { port, asked } = await start({ may: ({ namespace }) => namespace === 'test' });
    expect((await ask(port, '/api/v1/query', { query: RATE })).code).toBe(200);
    expect(asked.map(({ verb, resource, namespace }) => `${verb} ${resource} ${namespace}`)).toEqual(['get stat test']);
    expect((await ask(port, '/api/v1/query', { query: 'response_total' })).code).toBe(403);
    expect((await ask(port, '/api/v1/query', { query: 'response_total{namespace=~"test"}' })).code).toBe(403);
    expect(
      (
        await ask(port, '/api/v1/query', {
          query: 'response_total{namespace="test"} or request_total{namespace="other"}',
        })
      ).code,
    ).toBe(403);
    expect((await ask(port, '/api/v1/labels')).code).toBe(403);
    expect((await ask(port, '/api/v1/labels', { 'match[]': 'response_total{namespace="test"}' })).code).toBe(200);
  });

  it('names the replicas whose signals are not in an answer', async () => {
    const { port } = await start({ others: ['weft-operator-b'] });
    const { body } = await ask(port, '/api/v1/query', { query: 'sum(response_total)' });
    expect(body).toMatchObject({
      status: 'success',
      warnings: ['replica weft-operator-b keeps the signals of its own proxies: they are not in this answer'],
    });
    expect(
      (await ask((await start()).port, '/api/v1/query', { query: 'sum(response_total)' })).body,
    ).not.toHaveProperty('warnings');
  });

  it('lets a dashboard ask much at once, and refuses what nobody asks at once', async () => {
    const release = Promise.withResolvers<void>();
    const reader = createLocalReader(aStore());
    let most = 0;
    let now = 0;
    const app = createQueryApp({
      reader: {
        ...reader,
        samples: async (wanted, signal) => {
          now += 1;
          most = Math.max(most, now);
          await release.promise;
          now -= 1;
          return await reader.samples(wanted, signal);
        },
      },
      authenticator: { user: async () => await Promise.resolve(err(new AppError('unauthenticated', 'nobody'))) },
      authorizer: { allow: async () => await Promise.resolve(ok(true)) },
      identify: () => 'loopback',
      clock: { nowMs: () => NOW_MS },
      logger: silentLogger,
    });
    const answers = Array.from({ length: 40 }, async () => {
      const socket = { remoteAddress: '127.0.0.1' };
      return (await app.request('http://here/api/v1/query?query=sum(response_total)', {}, { incoming: { socket } }))
        .status;
    });
    setImmediate(release.resolve);
    const codes = await Promise.all(answers);
    expect([200, 429].map(code => codes.filter(one => one === code).length)).toEqual([32, 8]);
    expect(most).toBe(2);
  });

  it('refuses whoever does not say who they are', async () => {
    const { port } = await start();
    expect((await ask(port, '/api/v1/query', { query: 'vector(1)' }, { token: '' })).code).toBe(401);
    expect((await ask(port, '/api/v1/query', { query: 'vector(1)' }, { token: 'bad' })).code).toBe(401);
    expect((await ask(port, '/api/v1/query', { query: 'vector(1)' })).code).toBe(200);
  });

  it('answers without TLS only callers that are named, and never one who sends a token', async () => {
    const none = await start();
    expect(await ask(none.port, '/api/v1/query', { query: 'vector(1)' }, { plain: true, token: '' })).toMatchObject({
      code: 401,
      body: { error: expect.stringContaining('--query-allow') },
    });
    const { port } = await start({ allow: ['loopback'] });
    expect((await ask(port, '/api/v1/query', { query: 'response_total' }, { plain: true, token: '' })).code).toBe(200);
    expect((await ask(port, '/api/v1/query', { query: 'response_total' }, { plain: true })).code).toBe(401);
    // And the other half of the same port.
    expect((await ask(port, '/api/v1/query', { query: 'response_total' })).code).toBe(200);
  });

  it('knows callers by the pod that has their address', () => {
    const { snapshot } = snapshotOf([
      aPod('flagger', { ip: '10.1.2.3' }),
      aPod('done', { ip: '10.1.2.4', phase: 'Succeeded' }),
    ]);
    const identify = createCallers(['demo/default'], () => snapshot.pods.values());
    expect(identify('10.1.2.3')).toBe('demo/default');
    expect(identify('::ffff:10.1.2.3')).toBe('demo/default');
    for (const address of ['10.1.2.4', '10.1.2.5', '127.0.0.1', '::1', '', undefined])
      expect(identify(address)).toBeUndefined();
    expect(createCallers(['demo/other'], () => snapshot.pods.values())('10.1.2.3')).toBeUndefined();
    expect(createCallers(['loopback'], () => snapshot.pods.values())('127.0.0.1')).toBe('loopback');
  });
});
