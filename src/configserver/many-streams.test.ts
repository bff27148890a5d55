import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it, vi } from 'vitest';
import { OUTBOUND, aConfigServer } from './testing/fixture.ts';
import type { TestProxy } from './testing/proxy.ts';
import { aResource, aWho } from './testing/source.ts';

const STREAMS = 1_000;
const ROUNDS = 5;
const text = (round: number): string => `${round}`.padStart(2_000, 'x');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

// Clients and server share this process and its one thread, so the times are those of both together.
it('1,000 streams all get every settled version, encoded once, and a second batch of pushes holds no more memory than the first', async () => {
  const pods = Array.from({ length: STREAMS }, (_, index) => aWho(`pod-${index}`));
  const { proxy, source, server, metrics, close } = await aConfigServer({ pods });
  source.resources.set(OUTBOUND, aResource(OUTBOUND, text(0)));
  const proxies: TestProxy[] = [];
  const settled = (version: string): boolean =>
    server.registry
      .proxies()
      .filter(proxy => proxy.resources.find(held => held.name === OUTBOUND)?.ackedVersion === version).length ===
    STREAMS;
  const everybodyHas = (version: string): Promise<unknown> =>
    vi.waitUntil(() => settled(version), { timeout: 20_000, interval: 20 });

  for (let index = 0; index < STREAMS; index += 50) {
    const batch = Array.from({ length: 50 }, (_, offset) => proxy({ token: `pod-${index + offset}` }));
    proxies.push(...batch);
    for (const proxy of batch) proxy.send({ kind: 'subscribe', names: [OUTBOUND] });
    await Promise.all(batch.map(proxy => proxy.message(2)));
  }
  await everybodyHas(aResource(OUTBOUND, text(0)).version);
  expect(metrics.value('weft_config_streams')).toBe(STREAMS);

  let round = 0;
  const batchOfPushes = async (): Promise<number> => {
    for (let count = 0; count < ROUNDS; count += 1) {
      round += 1;
      const next = aResource(OUTBOUND, text(round));
      source.resources.set(OUTBOUND, next);
      source.publish();
      await everybodyHas(next.version);
    }
    // What clients remember is theirs.
    for (const proxy of proxies) proxy.received.length = 0;
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const encodedBefore = metrics.value('weft_config_encodes_total');
  const first = await batchOfPushes();
  const second = await batchOfPushes();
  const third = await batchOfPushes();
  expect(metrics.value('weft_config_encodes_total') - encodedBefore).toBe(3 * ROUNDS);
  expect(metrics.value('weft_config_pushes_total', { kind: 'outbound' })).toBe(STREAMS * (1 + 3 * ROUNDS));
  // A batch pushes 10 MB to clients; keeping a tenth of that would show.
  const growth = Math.min(second - first, third - second);
  expect(growth).toBeLessThan(1_000_000);

  for (const proxy of proxies) proxy.close();
  await vi.waitUntil(() => metrics.value('weft_config_streams') === 0, { timeout: 10_000 });
  await close();
}, 90_000);
