import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { createReadiness, silentLogger } from '../runtime/index.ts';
import { createAdminServer } from './admin-server.ts';
import { judgeLiveness, type LoopHealth } from './liveness.ts';
import { createPinoLogger } from './pino-logger.ts';
import { createPromMetrics } from './prom-metrics.ts';

describe('pino logger', () => {
  function setUp(level: 'debug' | 'info' = 'info') {
    const lines: Record<string, unknown>[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    return { lines, log: createPinoLogger({ level, base: { component: 'test' }, destination }) };
  }

  it('writes one JSON object per line with the agreed fields', () => {
    const { lines, log } = setUp();
    log.child({ controller: 'status' }).info('status written', { namespace: 'demo', name: 'web' });
    expect(lines).toEqual([
      {
        level: 'info',
        ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        component: 'test',
        controller: 'status',
        namespace: 'demo',
        name: 'web',
        msg: 'status written',
      },
    ]);
  });

  it('leaves out what is below its level', () => {
    const { lines, log } = setUp();
    log.debug('nothing');
    log.warn('something');
    expect(lines.map(({ msg }) => msg)).toEqual(['something']);
  });

  it('tells the cause of an error, and the stack of a broken thing but not of a refusal', () => {
    const { lines, log } = setUp();
    log.error('refused', { err: new AppError('not-found', 'no such mesh', { cause: new Error('404') }) });
    log.error('broken', { err: new TypeError('x is undefined') });
    expect(lines[0]?.['err']).toEqual({ type: 'AppError', message: 'no such mesh', code: 'not-found', cause: '404' });
    expect(lines[1]?.['err']).toMatchObject({
      type: 'TypeError',
      stack: expect.stringContaining('telemetry.test') as string,
    });
  });

  it('never prints keys and tokens', () => {
    const { lines, log } = setUp();
    log.info('leaf', { token: 'eyJ', issuer: { privateKeyPem: '-----BEGIN', generation: 'g1' } });
    expect(lines[0]).toMatchObject({ token: '[redacted]', issuer: { privateKeyPem: '[redacted]', generation: 'g1' } });
  });
});

describe('prom metrics', () => {
  it('shows zero-initialised series and counts', async () => {
    const metrics = createPromMetrics({ processMetrics: false });
    const counter = metrics.counter({
      name: 'weft_a_total',
      help: 'A.',
      labelNames: ['result'],
      zero: [{ result: 'ok' }, { result: 'bad' }],
    });
    counter.inc({ result: 'ok' });
    counter.inc({ result: 'ok' }, 2);
    metrics.gauge({ name: 'weft_b', help: 'B.' }).set(7);
    metrics.histogram({ name: 'weft_c_seconds', help: 'C.', buckets: [0.1, 1] }).observe(0.5);
    const { text, contentType } = await metrics.expose();
    expect(contentType).toContain('text/plain');
    for (const line of [
      'weft_a_total{result="ok"} 3',
      'weft_a_total{result="bad"} 0',
      'weft_b 7',
      'weft_c_seconds_bucket{le="1"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('gives the same metric for the same name, and refuses another kind', async () => {
    const metrics = createPromMetrics({ processMetrics: false });
    metrics.counter({ name: 'weft_a_total', help: 'A.' }).inc();
    metrics.counter({ name: 'weft_a_total', help: 'A.' }).inc();
    expect((await metrics.expose()).text).toContain('weft_a_total 2');
    expect(() => metrics.gauge({ name: 'weft_a_total', help: 'A.' })).toThrow(/another kind/);
  });
});

describe('liveness', () => {
  it('names a loop that hangs, and only that one', () => {
    const loops = [
      { name: 'informer Pod', lastActivityMs: 900_000 },
      { name: 'informer Node', lastActivityMs: 100_000 },
    ];
    expect(judgeLiveness(loops, { nowMs: () => 1_000_000 }, 300_000)).toEqual({
      alive: false,
      hanging: ['informer Node: nothing for 900 s'],
    });
    expect(judgeLiveness(loops, { nowMs: () => 400_000 }, 300_000)).toEqual({ alive: true, hanging: [] });
  });
});

describe('admin server', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  async function setUp(loops: LoopHealth[] = []) {
    const readiness = createReadiness();
    const metrics = createPromMetrics({ processMetrics: false });
    const server = createAdminServer({
      readiness,
      metrics,
      liveness: () => judgeLiveness(loops, { nowMs: () => 1_000_000 }, 300_000),
      log: silentLogger,
    });
    const port = await server.listen(0, '127.0.0.1');
    closers.push(() => server.close());
    const get = async (path: string, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
      return { status: response.status, text: await response.text() };
    };
    return { readiness, metrics, get };
  }

  it('is ready when every task is finished, and says until then what is missing', async () => {
    const { readiness, get } = await setUp();
    const task = readiness.task('stores', 'Pod');
    expect(await get('/readyz')).toEqual({ status: 503, text: 'stores: Pod\n' });
    task.finish();
    expect(await get('/readyz')).toEqual({ status: 200, text: 'ok\n' });
  });

  it('is alive while the loops turn, whether ready or not', async () => {
    const loops: LoopHealth[] = [{ name: 'informer Pod', lastActivityMs: 999_000 }];
    const { readiness, get } = await setUp(loops);
    readiness.task('stores');
    expect((await get('/livez')).status).toBe(200);
    loops[0] = { name: 'informer Pod', lastActivityMs: 0 };
    expect(await get('/livez')).toEqual({ status: 503, text: 'informer Pod: nothing for 1000 s\n' });
  });

  it('serves metrics, and refuses other paths and methods', async () => {
    const { metrics, get } = await setUp();
    metrics.counter({ name: 'weft_a_total', help: 'A.' }).inc();
    expect((await get('/metrics')).text).toContain('weft_a_total 1');
    expect((await get('/secrets')).status).toBe(404);
    expect((await get('/livez', 'POST')).status).toBe(405);
  });
});
