import { describe, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  deleteObject,
  eventually,
  getObject,
  kubectl,
  podIp,
  serverApp,
  service,
  startLoad,
  sumOf,
  waitAnswered,
  waitRollout,
  weftMetrics,
  withNamespace,
} from '../harness/index.ts';

const mesh = 'short-lived';

interface Secret {
  readonly data: Readonly<Record<string, string>>;
}

describe('a mesh whose leaves live for one minute', () => {
  it('renews them under load with no request lost and no restart', async () => {
    await apply({
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MeshConfig',
      metadata: { name: mesh },
      spec: { identity: { mode: 'SelfManaged', leafDuration: '1m' } },
    });
    try {
      await withNamespace(
        'identity-short',
        async ({ name }) => {
          await apply(
            service(name, 'web'),
            ...serverApp({ namespace: name, name: 'web' }),
            ...clientPod({ namespace: name, name: 'client' }),
          );
          await Promise.all(['web', 'client'].map(app => waitRollout(name, app)));
          await waitAnswered(name, 'client');
          const address = await podIp(name, 'web');
          const refreshes = async (): Promise<number> =>
            sumOf(await weftMetrics(address), 'identity_cert_refreshes_total');
          const expires = async (): Promise<number> =>
            sumOf(await weftMetrics(address), 'identity_cert_expiration_timestamp_seconds');
          const [first, firstExpiry] = [await refreshes(), await expires()];
          expect(firstExpiry * 1_000 - Date.now()).toBeLessThan(61_000);
          const http = await startLoad(name, 'client', {
            protocol: 'http1',
            target: 'http://web/',
            rate: 100,
            durationMs: 200_000,
          });
          const grpc = await startLoad(name, 'client', {
            protocol: 'grpc',
            target: 'web:9090',
            rate: 50,
            durationMs: 200_000,
          });
          await eventually('two renewals', async () => (await refreshes()) >= first + 2, {
            deadlineMs: 150_000,
            everyMs: 1_000,
          });
          for (const report of [await http.stop(), await grpc.stop()]) {
            expect(report.failed, JSON.stringify(report.errors)).toBe(0);
            expect(report.sent).toBe(report.answered);
            expect(report.sent).toBeGreaterThan(1_000);
          }
          expect(await expires()).toBeGreaterThan(firstExpiry);
          const pods = JSON.parse(await kubectl(['get', 'pods', '-n', name, '-o', 'json'])) as {
            items: { status: { initContainerStatuses: { restartCount: number }[] } }[];
          };
          expect(
            pods.items.flatMap(pod => pod.status.initContainerStatuses.map(({ restartCount }) => restartCount)),
          ).toEqual([0, 0, 0, 0]);
        },
        { labels: { 'weft.dev/mesh': mesh } },
      );
    } finally {
      await deleteObject('meshconfig', mesh);
    }
  });
});

describe("the mesh's issuer", () => {
  it('is signed by cert-manager, and its root is in the bundle of every meshed namespace', async () => {
    await withNamespace('identity-bundle', async ({ name }) => {
      const issuer = await getObject<Secret>('secret', 'weft-issuer-default', 'weft-system');
      const root = Buffer.from(issuer.data['ca.crt'] ?? '', 'base64')
        .toString()
        .trim();
      expect(root).toContain('BEGIN CERTIFICATE');
      const body = root.split('\n').slice(1, -1).join('');
      await eventually('the bundle is copied', async () => {
        const bundle = await getObject<Secret>('configmap', 'weft-trust', name);
        return (bundle.data['ca.crt'] ?? '').replaceAll('\n', '').includes(body);
      });
      const config = await getObject<{
        status: { identity: { activeIssuer: string }; conditions: { type: string; status: string }[] };
      }>('meshconfig', 'default');
      expect(config.status.identity.activeIssuer).toMatch(/^weft-issuer-default-[0-9a-f]{8}$/);
      expect(config.status.conditions.find(({ type }) => type === 'Ready')?.status).toBe('True');
      const generation = await getObject<{ immutable: boolean }>(
        'secret',
        config.status.identity.activeIssuer,
        'weft-system',
      );
      expect(generation.immutable).toBe(true);
    });
  });
});
