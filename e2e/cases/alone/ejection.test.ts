import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  countOf,
  eventually,
  evidence,
  fileNamespace,
  type LoadReport,
  type LoadSpec,
  podIp,
  putPolicy,
  runLoad,
  serverApp,
  service,
  shareOf,
  sumOf,
  tell,
  waitAnswered,
  waitRollout,
  weftMetrics,
} from '../../harness/index.ts';

const namespace = fileNamespace('ejection');
const servers = ['web-0', 'web-1', 'web-2', 'web-3'];
const http = { protocol: 'http1', target: 'http://web/', concurrency: 8 } as const;
const grpc = { protocol: 'grpc', target: 'web:9090', concurrency: 8 } as const;
// In turn, so that an endpoint which is not left out has its quarter whatever it answers, and how quickly.
const inTurn = { algorithm: 'RoundRobin', slowStart: '0s' };

async function load(what: string, spec: Omit<LoadSpec, 'durationMs'>): Promise<LoadReport> {
  return evidence(what, await runLoad(namespace, 'client', { durationMs: 60_000, ...spec }));
}

const answer = async (names: readonly string[], code: number, after = 0): Promise<void> => {
  for (const name of names) await tell(namespace, name, `/answers/${code}/${after}`);
};

/** Endpoints of `web` that the client's proxy leaves out now. */
async function ejected(): Promise<number> {
  const samples = await weftMetrics(await podIp(namespace, 'client'));
  const labels = { name: `endpoints/${namespace}/web:80`, endpoint_state: 'ejected' };
  return sumOf(samples, 'outbound_http_balancer_endpoints', labels);
}

/** All four serve again. */
async function healed(): Promise<void> {
  await answer(servers, 200);
  await eventually(
    'all endpoints are back',
    async () => {
      const report = await load('well again', { ...http, count: 80 });
      return report.failed === 0 && servers.every(server => shareOf(report, server) > 0.1);
    },
    { deadlineMs: 90_000, everyMs: 500 },
  );
}

beforeAll(async () => {
  await apply(
    service(namespace, 'web', { tier: 'web' }),
    ...servers.flatMap(name => serverApp({ namespace, name, labels: { tier: 'web' } })),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all([...servers, 'client'].map(app => waitRollout(namespace, app)));
  await waitAnswered(namespace, 'client');
});

describe('an endpoint that asks for a pause', () => {
  it('gets none for that time, over HTTP and gRPC, while the others serve; one that only refuses keeps its share', async () => {
    await putPolicy(namespace, 'web', { loadBalancing: inTurn });
    for (const [spec, refused] of [
      [{ ...http, rate: 100, count: 500 }, '429'],
      [{ ...grpc, rate: 100, count: 500 }, 'ResourceExhausted'],
    ] as const) {
      await answer(['web-1'], 429);
      const control = await load(`${refused} without a pause`, spec);
      expect(countOf(control, refused)).toBeGreaterThan(90);
      await answer(['web-1'], 429, 2);
      const report = await load(`${refused}, wait 2 s`, spec);
      // Five seconds have room for three such answers, and what was under way beside each.
      expect(countOf(report, refused)).toBeGreaterThanOrEqual(2);
      expect(countOf(report, refused)).toBeLessThanOrEqual(15);
      expect(report.failed).toBe(countOf(report, refused));
      await answer(['web-1'], 200);
      await eventually('it is asked again', async () => {
        const after = await load(`${refused}, over`, { ...spec, count: 100 });
        return after.failed === 0 && Object.keys(after.byBackend).length === 4;
      });
    }
  });
});

describe('an endpoint that fails', () => {
  const breaker = { consecutiveFailures: 5, pause: '1s', maxPause: '2s' };

  it('gets next to nothing, is probed, and has its share again when it is well', async () => {
    const spec = { ...http, rate: 200, count: 1_000 };
    await answer(['web-2'], 503);
    await putPolicy(namespace, 'web', { loadBalancing: inTurn, circuitBreaker: { consecutiveFailures: 0 } });
    const control = await load('one of four fails, never left out', spec);
    expect(countOf(control, '503')).toBeGreaterThan(200);

    await putPolicy(namespace, 'web', { loadBalancing: inTurn, circuitBreaker: breaker });
    const before = (JSON.parse(await tell(namespace, 'web-2', '/stats')) as { requests: number }).requests;
    const report = await load('one of four fails', spec);
    // No more than five in a row, what was under way with them, and a probe every second or two.
    expect(countOf(report, '503')).toBeLessThanOrEqual(20);
    expect(report.failed).toBe(countOf(report, '503'));
    await eventually('it is left out', async () => (await ejected()) === 1);
    const after = (JSON.parse(await tell(namespace, 'web-2', '/stats')) as { requests: number }).requests;
    // Its failures were in a row already.
    expect(after - before, 'it is probed').toBeGreaterThanOrEqual(2);
    await healed();
    expect(await ejected()).toBe(0);
  });

  it('is left out only while enough others are', async () => {
    const failing = ['web-1', 'web-2', 'web-3'];
    const spec = { ...http, rate: 200, count: 800 };
    const put = async (limits: object): Promise<void> =>
      await putPolicy(namespace, 'web', { loadBalancing: inTurn, circuitBreaker: { ...breaker, ...limits } });
    await answer(failing, 503);

    await put({ maxEjectedPercent: 50 });
    const capped = await load('three of four fail, half may be left out', spec);
    await eventually('two are left out', async () => (await ejected()) === 2);
    expect(countOf(capped, '503') / capped.sent).toBeGreaterThan(0.3);

    await put({ maxEjectedPercent: 100, panicPercent: 0 });
    await load('while the third is found to fail', { ...spec, count: 100 });
    const left = await load('three of four fail, all may be left out', spec);
    await eventually('three are left out', async () => (await ejected()) === 3);
    expect(countOf(left, '503') / left.sent).toBeLessThan(0.1);

    await put({ maxEjectedPercent: 100, panicPercent: 50 });
    const panic = await load('three of four fail, fewer than half are usable', spec);
    expect(countOf(panic, '503') / panic.sent).toBeGreaterThan(0.5);
    await healed();
  });
});
