import { describe, expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
  deleteObject,
  eventually,
  putPolicy,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

/** One server behind `web` and a meshed client. */
async function oneServer(namespace: string): Promise<void> {
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'client' }),
  );
  await Promise.all(['web', 'client'].map(name => waitRollout(namespace, name)));
  await waitAnswered(namespace, 'client');
}

const put = async (namespace: string, spec: object): Promise<void> => await putPolicy(namespace, 'web', spec);

const url = 'http://web';
const load = { protocol: 'http1', concurrency: 4, durationMs: 60_000 } as const;

describe('a TrafficPolicy', () => {
  it('carries requests as it says, at once, and no longer once it is gone', async () => {
    await withNamespace('resilience', async ({ name }) => {
      await oneServer(name);
      // One after the other, so that of any two tries one succeeds.
      const flaky = { ...load, concurrency: 1, target: `${url}/flaky/2/503`, count: 400 };

      // A budget bounds what a server that always fails gets.
      await put(name, { retry: { limit: 4, budget: { percent: 20, minPerSecond: 0 } } });
      const start = await requests(name);
      const failing = await runLoad(name, 'client', { ...load, target: `${url}/flaky/1000000/503`, count: 500 });
      expect(failing.byStatus['503']?.count).toBe(500);
      const tries = (await requests(name)) - start;
      expect(tries).toBeGreaterThan(500);
      expect(tries).toBeLessThanOrEqual(620);

      // Retries: every other request fails.
      const bare = await runLoad(name, 'client', flaky);
      expect(bare.byStatus['503']?.count, JSON.stringify(bare.byStatus)).toBeGreaterThan(150);
      await put(name, { retry: { limit: 4, budget: { percent: 100, minPerSecond: 1000 } } });
      const retried = await runLoad(name, 'client', flaky);
      expect(retried, JSON.stringify(retried.byStatus)).toMatchObject({ sent: 400, failed: 0 });
      expect(retried.byStatus['200']?.count, JSON.stringify(retried.byStatus)).toBe(400);

      // A POST is not safe to send twice unless its method is named.
      const post = { url: `${url}/flaky/1000000/503`, method: 'POST', body: 'once' };
      const before = await requests(name);
      expect((await call(name, 'client', post)).status).toBe(503);
      expect((await requests(name)) - before).toBe(1);

      // Time.
      await put(name, { timeouts: { request: '300ms' } });
      const late = await call(name, 'client', { url: `${url}/delay/2000` });
      expect(late).toMatchObject({ status: 504, headers: { 'weft-error': 'timeout' } });
      expect((await call(name, 'client', { url: `${url}/delay/10` })).status).toBe(200);

      // Limits: ten at a time, two are let through.
      await put(name, { concurrency: { maxRequests: 2 } });
      const many = await runLoad(name, 'client', { ...load, concurrency: 10, target: `${url}/delay/100`, count: 60 });
      expect(many.byStatus['503']?.count, JSON.stringify(many.byStatus)).toBeGreaterThan(20);
      await put(name, { concurrency: { maxRequestsPerPod: 2 } });
      const shed = await runLoad(name, 'client', { ...load, concurrency: 10, target: `${url}/delay/100`, count: 60 });
      expect(shed.byStatus['503']?.count, JSON.stringify(shed.byStatus)).toBeGreaterThan(20);

      // A breaker of one rule leaves everything else alone.
      const rule = { name: 'bad', matches: [{ path: { value: '/status' } }] };
      await put(name, {
        rules: [{ ...rule, circuitBreaker: { consecutiveFailures: 5, pause: '1m', maxPause: '1m' } }],
      });
      for (let n = 0; n < 5; n++) expect((await call(name, 'client', { url: `${url}/status/500` })).status).toBe(500);
      expect(await call(name, 'client', { url: `${url}/status/500` })).toMatchObject({
        status: 503,
        headers: { 'weft-error': 'circuit-open' },
      });
      expect((await call(name, 'client', { url: `${url}/other` })).status).toBe(200);

      // Faults: a share, by header, with an end.
      const until = new Date(Date.now() + 600_000).toISOString();
      await put(name, { faults: [{ name: 'f', percent: 30, abort: { status: 418 }, until }] });
      const faulty = await runLoad(name, 'client', { ...load, target: url, count: 1_000 });
      // Six standard deviations.
      expect(faulty.byStatus['418']?.count).toBeGreaterThan(213);
      expect(faulty.byStatus['418']?.count).toBeLessThan(387);
      const matches = [{ headers: [{ name: 'x-test', value: 'wanted' }] }];
      await put(name, { faults: [{ name: 'f', matches, abort: {}, until }] });
      expect((await call(name, 'client', { url, headers: { 'x-test': 'wanted' } })).headers['weft-error']).toBe(
        'fault-injected',
      );
      expect((await call(name, 'client', { url, headers: { 'x-test': 'other' } })).status).toBe(200);
      await put(name, {
        faults: [{ name: 'f', identities: ['spiffe://cluster.local/ns/other/sa/other'], abort: {}, until }],
      });
      expect((await call(name, 'client', { url })).status).toBe(200);

      await deleteObject('trafficpolicy', 'web', name);
      await eventually(
        'nothing is left of it',
        async () => (await runLoad(name, 'client', { ...flaky, count: 20 })).byStatus['503'] !== undefined,
        { deadlineMs: 30_000, everyMs: 200 },
      );
    });
  });
});

/** Requests that the server has seen. */
async function requests(namespace: string): Promise<number> {
  const { body } = await call(namespace, 'client', { url: `${url}/stats` });
  return (JSON.parse(body) as { requests: number }).requests;
}

/** Ten servers with 5 ms service time, each a Deployment of its own. */
async function tenServers(namespace: string): Promise<readonly string[]> {
  const names = Array.from({ length: 10 }, (_, n) => `web-${n}`);
  await apply(service(namespace, 'web', { tier: 'web' }));
  for (const name of names) {
    const args = ['--delay', '5ms'];
    await apply(service(namespace, name), ...serverApp({ namespace, name, labels: { tier: 'web' }, args }));
  }
  await apply(...clientPod({ namespace, name: 'client' }));
  await Promise.all([...names, 'client'].map(name => waitRollout(namespace, name)));
  await waitAnswered(namespace, 'client');
  return names;
}

describe('ten endpoints', () => {
  it('lose next to nothing to one that turns slow, where round robin loses a tenth; and keys stay with one', async () => {
    await withNamespace('ten-endpoints', async ({ name }) => {
      await tenServers(name);
      const spec = { ...load, target: url, rate: 200, concurrency: 64 };
      await runLoad(name, 'client', { ...spec, count: 1_000 });
      await call(name, 'client', { url: 'http://web-3/slow/1000' });
      await runLoad(name, 'client', { ...spec, count: 400 });
      const ours = await runLoad(name, 'client', { ...spec, count: 2_000 });
      expect(ours, JSON.stringify(ours.errors)).toMatchObject({ sent: 2_000, failed: 0 });
      expect((ours.byBackend['web-3']?.count ?? 0) / ours.sent, JSON.stringify(ours.byBackend)).toBeLessThanOrEqual(
        0.01,
      );

      await put(name, { loadBalancing: { algorithm: 'RoundRobin' } });
      const control = await runLoad(name, 'client', { ...spec, concurrency: 256, count: 1_000 });
      const share = (control.byBackend['web-3']?.count ?? 0) / control.sent;
      expect(share, JSON.stringify(control.byBackend)).toBeGreaterThan(0.08);
      expect(share).toBeLessThan(0.12);
      await call(name, 'client', { url: 'http://web-3/slow/5' });

      await put(name, { loadBalancing: { algorithm: 'RingHash', hashOn: { kind: 'Header', name: 'x-user' } } });
      const owners = new Set<string>();
      for (const user of ['ann', 'bob', 'cid', 'dan', 'eve', 'fay', 'gus', 'hal']) {
        const one = await runLoad(name, 'client', { ...load, target: url, count: 20, headers: { 'x-user': user } });
        expect(Object.keys(one.byBackend), user).toHaveLength(1);
        owners.add(Object.keys(one.byBackend)[0] ?? '');
      }
      expect(owners.size).toBeGreaterThan(1);

      await put(name, { loadBalancing: { algorithm: 'RingHash', hashOn: { kind: 'Cookie', name: 'session' } } });
      const cookie = await runLoad(name, 'client', {
        ...load,
        target: url,
        count: 20,
        headers: { cookie: 'a=1; session=42' },
      });
      expect(Object.keys(cookie.byBackend)).toHaveLength(1);
      const none = await runLoad(name, 'client', { ...load, target: url, count: 100 });
      expect(Object.keys(none.byBackend).length).toBeGreaterThan(1);
    });
  });
});
