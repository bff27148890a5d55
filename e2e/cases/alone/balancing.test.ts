import { describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

/** Three replicas with 20 ms service time; each names itself by its pod's name. */
async function threeReplicas(namespace: string): Promise<void> {
  await apply(service(namespace, 'web', { tier: 'web' }));
  for (const replica of ['a', 'b', 'c']) {
    await apply(
      ...serverApp({
        namespace,
        name: `web-${replica}`,
        says: replica,
        labels: { tier: 'web' },
        args: ['--delay', '20ms'],
      }),
    );
  }
  await apply(
    ...clientPod({ namespace, name: 'client' }),
    ...clientPod({ namespace, name: 'outsider', meshed: false }),
  );
  await Promise.all(['web-a', 'web-b', 'web-c', 'client', 'outsider'].map(name => waitRollout(namespace, name)));
  await Promise.all(['client', 'outsider'].map(name => waitAnswered(namespace, name)));
}

describe('one gRPC channel with sixteen calls in flight', () => {
  it('reaches three replicas about evenly when meshed, and exactly one when not', async () => {
    await withNamespace('grpc-balance', async ({ name }) => {
      await threeReplicas(name);
      const spec = {
        protocol: 'grpc',
        target: 'web:9090',
        concurrency: 16,
        connections: 1,
        durationMs: 60_000,
      } as const;
      await runLoad(name, 'client', { ...spec, count: 100 });
      const meshed = await runLoad(name, 'client', { ...spec, count: 3_000 });
      expect(meshed, JSON.stringify(meshed.errors)).toMatchObject({ sent: 3_000, failed: 0 });
      for (const replica of ['a', 'b', 'c']) {
        expect(
          (meshed.byBackend[replica]?.count ?? 0) / meshed.sent,
          JSON.stringify(meshed.byBackend),
        ).toBeGreaterThanOrEqual(0.15);
      }
      const unmeshed = await runLoad(name, 'outsider', { ...spec, count: 500 });
      expect(unmeshed, JSON.stringify(unmeshed.errors)).toMatchObject({ sent: 500, failed: 0 });
      expect(Object.keys(unmeshed.byBackend)).toHaveLength(1);
    });
  });
});
