import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { podKey } from '../kernel/index.ts';
import { type Fixture, type FixtureOptions, OUTBOUND, aConfigServer } from './testing/fixture.ts';
import { aResource, aWho } from './testing/source.ts';

describe('the config server', () => {
  let current: Fixture | undefined;
  const start = async (options: FixtureOptions = {}): Promise<Fixture> => (current = await aConfigServer(options));

  afterEach(() => current?.close());

  it('serves a proxy through its whole life', async () => {
    const { source, server, metrics, proxy, held } = await start();
    const web = proxy();
    expect([(await web.message(0)).name, (await web.message(1)).name]).toEqual(['workload', 'trust']);
    web.send({ kind: 'subscribe', names: [OUTBOUND] });
    expect(await web.message(2)).toMatchObject({
      kind: 'upsert',
      name: OUTBOUND,
      version: aResource(OUTBOUND, 'v1').version,
    });
    source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v2'));
    source.publish();
    expect(await web.message(3)).toMatchObject({ version: aResource(OUTBOUND, 'v2').version });
    await vi.waitFor(() => expect(held(OUTBOUND)?.ackedVersion).toBe(aResource(OUTBOUND, 'v2').version));
    source.resources.delete(OUTBOUND);
    source.publish();
    expect(await web.message(4)).toMatchObject({ kind: 'remove', name: OUTBOUND });
    expect(server.registry.proxies()).toMatchObject([{ who: { podUid: 'uid-web' }, proxyVersion: 'test' }]);
    web.close();
    await vi.waitFor(() => expect(metrics.value('weft_config_streams')).toBe(0));
  });

  it('a refusal by the proxy is seen, and its reason', async () => {
    const { proxy, held } = await start();
    const web = proxy({ acknowledge: false });
    const { nonce } = await web.message(0);
    web.send({ kind: 'nack', nonce, resource: 'workload', reason: 'unknown protocol' });
    await vi.waitFor(() =>
      expect(held('workload')).toMatchObject({ ackedVersion: '', nackReason: 'unknown protocol' }),
    );
    web.close();
  });

  it('waits a little for a pod that the watch has not brought yet', async () => {
    const { source, proxy } = await start({ limits: { podWaitMs: 5_000 } });
    const late = proxy({ token: 'late' });
    await new Promise(setImmediate);
    source.pods.set(podKey('demo', 'late'), aWho('late'));
    const publisher = setInterval(() => source.publish(), 20);
    expect(await late.message(0)).toMatchObject({ name: 'workload' });
    clearInterval(publisher);
  });

  it('a reconnecting proxy gets differences only, and a revoked pod is cut off', async () => {
    const { source, proxy } = await start();
    const versions = ['workload', 'trust', OUTBOUND].map(name => ({
      name,
      version: source.resources.get(name)?.version ?? '',
    }));
    source.resources.set('trust', aResource('trust', 't2'));
    const web = proxy({ held: versions });
    expect(await web.message(0)).toMatchObject({ name: 'trust', version: aResource('trust', 't2').version });
    source.pods.delete(podKey('demo', 'web'));
    source.publish();
    expect(await web.ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(web.received).toHaveLength(1);
  });

  it('tells its clients to go elsewhere when it closes, and leaves nothing open', async () => {
    const { server, port, proxy } = await start();
    const [web, job] = [proxy(), proxy({ token: 'job' })];
    await Promise.all([web.message(1), job.message(1)]);
    const closed = server.close(5_000);
    expect(await web.ended).toMatchObject({ code: status.UNAVAILABLE });
    expect(await job.ended).toMatchObject({ code: status.UNAVAILABLE });
    await closed;
    await expect(
      new Promise((resolve, reject) => {
        connectTls({ host: '127.0.0.1', port }).once('error', reject).once('secureConnect', resolve);
      }),
    ).rejects.toThrow(/ECONNREFUSED/);
  });
});
