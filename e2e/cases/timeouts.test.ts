import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
  countOf,
  eventually,
  evidence,
  fileNamespace,
  kubectl,
  type LoadReport,
  type LoadSpec,
  putPolicy,
  runLoad,
  serverApp,
  service,
  tell,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = fileNamespace('timeouts');
const SLOW_MS = 5_000;

interface Stats {
  readonly requests: number;
  /** What was left of the last call's deadline when it arrived. */
  readonly deadlineMs: number;
  readonly cancelled: number;
}

const stats = async (app: string): Promise<Stats> => JSON.parse(await tell(namespace, app, '/stats')) as Stats;

async function load(what: string, spec: Omit<LoadSpec, 'durationMs'>): Promise<LoadReport> {
  return evidence(what, await runLoad(namespace, 'client', { durationMs: 60_000, ...spec }));
}

const milliseconds = ({ p50Us, maxUs }: LoadReport): { p50: number; max: number } => ({
  p50: p50Us / 1_000,
  max: maxUs / 1_000,
});

/** `web` is a slow server and a quick one, `slow` the slow one alone. */
beforeAll(async () => {
  await apply(
    service(namespace, 'web', { tier: 'web' }),
    service(namespace, 'slow'),
    ...['slow', 'quick'].flatMap(name => serverApp({ namespace, name, labels: { tier: 'web' } })),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all(['slow', 'quick', 'client'].map(app => waitRollout(namespace, app)));
  await waitAnswered(namespace, 'client');
  await waitAnswered(namespace, 'client', 'http://slow/');
  await tell(namespace, 'slow', `/slow/${SLOW_MS}`);
});

describe('timeouts', () => {
  it('perTry: a slow first try is given up and made again elsewhere; without retries it is a 504', async () => {
    const common = {
      timeouts: { perTry: '300ms' },
      // In turn, and whatever happened before: every other first try goes to the slow one.
      loadBalancing: { algorithm: 'RoundRobin' },
      circuitBreaker: { consecutiveFailures: 0 },
    };
    const spec = { protocol: 'http1', target: 'http://web/', concurrency: 4, count: 60 } as const;
    await putPolicy(namespace, 'web', common);
    const control = await load('perTry without retries', spec);
    expect(countOf(control, '504')).toBeGreaterThanOrEqual(20);

    const retry = { limit: 2, httpOn: ['timeout'], budget: { percent: 100, minPerSecond: 100 } };
    await putPolicy(namespace, 'web', { ...common, retry });
    const before = await stats('slow');
    const report = await load('perTry with retries', spec);
    expect(report.failed, JSON.stringify(report.errors)).toBe(0);
    expect(report.byBackend['quick']?.count).toBe(60);
    expect((await stats('slow')).requests - before.requests).toBeGreaterThanOrEqual(20);
    expect(milliseconds(report).max).toBeGreaterThanOrEqual(300);
    expect(milliseconds(report).max).toBeLessThan(SLOW_MS);
  });

  it('request: 504 that says why, at its time', async () => {
    await putPolicy(namespace, 'slow', { timeouts: { request: '400ms' } });
    const one = await call(namespace, 'client', { url: 'http://slow/' });
    expect(one).toMatchObject({ status: 504, headers: { 'weft-error': 'timeout' } });
    const report = await load('request', { protocol: 'http1', target: 'http://slow/', concurrency: 4, count: 20 });
    expect(countOf(report, '504')).toBe(20);
    expect(milliseconds(report).p50).toBeGreaterThanOrEqual(400);
    expect(milliseconds(report).p50).toBeLessThan(SLOW_MS / 2);
  });

  it('response: counts from the end of the request', async () => {
    await putPolicy(namespace, 'slow', { timeouts: { response: '400ms' } });
    const one = await call(namespace, 'client', { url: 'http://slow/', method: 'POST', body: 'all of it' });
    expect(one).toMatchObject({ status: 504, headers: { 'weft-error': 'timeout' } });
    expect((await call(namespace, 'client', { url: 'http://slow/status/201' })).status).toBe(201);
  });

  it('idle: ends what stands still, before its response and in the middle of it, and nothing else', async () => {
    await putPolicy(namespace, 'web', { timeouts: { idle: '500ms' } });
    const rests = await call(namespace, 'client', { url: 'http://web/stall/50' });
    expect(rests).toMatchObject({ status: 200, body: 'half and half' });
    const stalls = await call(namespace, 'client', { url: `http://web/stall/${SLOW_MS}` });
    expect(stalls).toMatchObject({ status: 200, body: 'half' });
    expect(stalls.error, 'the client is told that this is not the end').toMatch(/EOF|reset/);
    const waits = await call(namespace, 'client', { url: `http://web/delay/${SLOW_MS}` });
    expect(waits).toMatchObject({ status: 504, headers: { 'weft-error': 'timeout' } });
  });
});

describe('a deadline of gRPC', () => {
  const unary = { protocol: 'grpc', target: 'slow:9090', concurrency: 4, count: 20 } as const;

  it('is kept by the client and seen by the server, without any policy', async () => {
    await kubectl(['delete', 'trafficpolicy', 'slow', '-n', namespace, '--ignore-not-found']);
    const report = await load('deadline of the client', { ...unary, timeoutMs: 500 });
    expect(countOf(report, 'DeadlineExceeded')).toBe(20);
    expect(milliseconds(report).p50).toBeGreaterThanOrEqual(490);
    expect(milliseconds(report).p50).toBeLessThan(SLOW_MS / 2);
    const { deadlineMs } = await stats('slow');
    expect(deadlineMs).toBeGreaterThan(0);
    expect(deadlineMs).toBeLessThanOrEqual(500);
  });

  it('is kept by the proxy for a client that does not watch its own', async () => {
    const began = performance.now();
    // Nor does this server: it would answer when its time is over.
    const answer = await call(namespace, 'client', {
      url: `http://slow/delay/${SLOW_MS}`,
      method: 'POST',
      http2: true,
      headers: { 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '400m' },
    });
    expect(answer.headers, answer.error).toMatchObject({ 'grpc-status': '4', 'weft-error': 'timeout' });
    expect(performance.now() - began).toBeLessThan(SLOW_MS);
  });

  it('that is longer than the policy allows is cut: DEADLINE_EXCEEDED, and the call is cancelled at the server', async () => {
    await putPolicy(namespace, 'slow', { timeouts: { request: '300ms' } });
    const before = await stats('slow');
    const report = await load('deadline of the policy', { ...unary, timeoutMs: 10_000 });
    expect(countOf(report, 'DeadlineExceeded')).toBe(20);
    expect(milliseconds(report).p50).toBeGreaterThanOrEqual(300);
    expect(milliseconds(report).p50).toBeLessThan(SLOW_MS / 2);
    await eventually(
      'the server knows that nobody waits',
      async () => (await stats('slow')).cancelled - before.cancelled === 20,
      { everyMs: 200 },
    );
    // A policy that allows more leaves the client's own in force.
    await putPolicy(namespace, 'slow', { timeouts: { request: '1m' } });
    const control = await load('longer policy', { ...unary, count: 4, timeoutMs: 10_000 });
    expect(countOf(control, 'OK')).toBe(4);
    expect((await stats('slow')).cancelled - before.cancelled).toBe(20);
  });
});
