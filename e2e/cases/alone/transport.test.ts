import { describe, expect, it } from 'vitest';
import { nodeExec, nodeRun } from '../../cluster/index.ts';
import {
  apply,
  call,
  clientPod,
  clusterName,
  countingSent,
  eventually,
  podIp,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../../harness/index.ts';

/** TCP ports of one pod that another has opened connections to, as the node's connection tracking saw them. */
async function portsReached(from: string, to: string): Promise<number[]> {
  const { stdout } = await nodeExec(clusterName, ['conntrack', '-L', '-p', 'tcp', '--src', from, '--dst', to]);
  const ports = stdout.split('\n').flatMap(line => /dport=([0-9]+)/.exec(line)?.[1] ?? []);
  return [...new Set(ports.map(Number))].toSorted((left, right) => left - right);
}

const ingressPolicy = (namespace: string, app: string) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: app, namespace },
  spec: { podSelector: { matchLabels: { app } }, policyTypes: ['Ingress'], ingress: [{}] },
});

/** A firewall of the node that lets nobody reach the proxy's port of one pod, and does not say so; `dropped` tells how many packets it has swallowed. */
async function droppingDirect<T>(address: string, body: (dropped: () => Promise<number>) => Promise<T>): Promise<T> {
  const table = 'weft_e2e_direct';
  const rules = `table ip ${table} {
  chain forward {
    type filter hook forward priority -10;
    ip daddr ${address} tcp dport 4143 counter drop
  }
}`;
  await nodeRun(clusterName, ['nft', '-f', '-'], { input: rules });
  try {
    return await body(async () => {
      const shown = await nodeRun(clusterName, ['nft', 'list', 'table', 'ip', table]);
      return Number(/counter packets ([0-9]+)/.exec(shown)?.[1]);
    });
  } finally {
    await nodeRun(clusterName, ['nft', 'delete', 'table', 'ip', table]);
  }
}

describe('proxies reach each other', () => {
  it('straight at 4143, by the port of the application under a NetworkPolicy, and so too where 4143 does not answer', async () => {
    await withNamespace('transport', async ({ name }) => {
      const servers = ['free', 'guarded', 'walled'];
      await apply(
        ingressPolicy(name, 'guarded'),
        ...servers.flatMap(app => [service(name, app), ...serverApp({ namespace: name, name: app })]),
        ...clientPod({ namespace: name, name: 'client', serviceAccount: 'client' }),
      );
      await Promise.all([...servers, 'client'].map(app => waitRollout(name, app)));
      const client = await podIp(name, 'client');
      const identity = `spiffe://cluster.local/ns/${name}/sa/client`;

      /** HTTP/1.1, gRPC, bytes and a server that speaks first, all over mesh TLS; resolves with the ports that were reached. */
      const everything = async (app: string): Promise<number[]> => {
        await waitAnswered(name, 'client', `http://${app}/`);
        const { status, body } = await call(name, 'client', { url: `http://${app}/` });
        expect(status).toBe(200);
        expect((JSON.parse(body) as { headers: Record<string, string> }).headers['weft-client-id']).toBe(identity);
        for (const [protocol, target] of [
          ['http1', `http://${app}/`],
          ['grpc', `${app}:9090`],
          ['tcp', `${app}:7000`],
          ['banner', `${app}:7025`],
        ] as const) {
          const { value, sent } = await countingSent(
            client,
            async () => await runLoad(name, 'client', { protocol, target, count: 5, durationMs: 30_000 }),
          );
          expect(value, `${target} ${JSON.stringify(value.errors)}`).toMatchObject({ answered: 5, failed: 0 });
          expect(sent.connections.plain + sent.requests.plain, target).toBe(0);
          expect(sent.connections.meshed + sent.requests.meshed, target).toBeGreaterThan(0);
        }
        return await portsReached(client, await podIp(name, app));
      };

      expect(await everything('free')).toEqual([4143]);
      expect(await everything('guarded')).toEqual([7000, 7025, 8080, 9090]);
      await droppingDirect(await podIp(name, 'walled'), async dropped => {
        expect(await everything('walled')).toEqual([7000, 7025, 8080, 9090]);
        const tried = await dropped();
        expect(tried).toBeGreaterThan(0);
        const started = performance.now();
        await call(name, 'client', { url: 'http://walled/' });
        // Remembered: nobody knocks at 4143 again, let alone waits for it.
        expect(performance.now() - started).toBeLessThan(900);
        expect(await dropped()).toBe(tried);
      });
      await eventually('the policy is gone and with it the detour', async () => {
        await nodeRun(clusterName, ['kubectl', 'delete', 'networkpolicy', 'guarded', '-n', name, '--ignore-not-found']);
        await runLoad(name, 'client', { protocol: 'tcp', target: 'guarded:7000', count: 1, durationMs: 10_000 });
        return (await portsReached(client, await podIp(name, 'guarded'))).includes(4143);
      });
    });
  });
});
