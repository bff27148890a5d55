import { describe, expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
  deleteObject,
  eventually,
  type KubernetesObject,
  podAddresses,
  podIp,
  runLoad,
  serverApp,
  service,
  startLoad,
  sumOf,
  waitAnswered,
  waitRollout,
  weftMetrics,
  withNamespace,
} from '../harness/index.ts';

function server(namespace: string, port: string, protocol = 'unknown'): KubernetesObject {
  return {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name: `web-${port}`, namespace, labels: { of: 'web' } },
    spec: { podSelector: { matchLabels: { app: 'web' } }, port, proxyProtocol: protocol },
  };
}

function grant(namespace: string, serviceAccount: string, on: string): KubernetesObject {
  return {
    apiVersion: 'policy.linkerd.io/v1beta1',
    kind: 'ServerAuthorization',
    metadata: { name: `${serviceAccount}-${on}`, namespace },
    spec: { server: { name: `web-${on}` }, client: { meshTLS: { serviceAccounts: [{ name: serviceAccount }] } } },
  };
}

/** A server with a Server on each of three ports, one client whose account is granted, one whose is not, and one outside the mesh. */
async function town(namespace: string, policy: readonly KubernetesObject[]): Promise<void> {
  // Policy before workload: no case may depend on who was quicker.
  if (policy.length > 0) await apply(...policy);
  await apply(
    service(namespace, 'web'),
    ...serverApp({ namespace, name: 'web' }),
    ...clientPod({ namespace, name: 'friend', serviceAccount: 'friend' }),
    ...clientPod({ namespace, name: 'stranger', serviceAccount: 'stranger' }),
    ...clientPod({ namespace, name: 'outsider', serviceAccount: 'outsider', meshed: false }),
  );
  await Promise.all(['web', 'friend', 'stranger', 'outsider'].map(name => waitRollout(namespace, name)));
  await Promise.all(['friend', 'stranger', 'outsider'].map(name => waitAnswered(namespace, name)));
}

const ports = ['http', 'grpc', 'tcp'] as const;
const everything = (namespace: string): KubernetesObject[] => [
  ...ports.map(port => server(namespace, port, port === 'grpc' ? 'gRPC' : 'unknown')),
  ...ports.map(port => grant(namespace, 'friend', port)),
];

const status = async (namespace: string, from: string, url = 'http://web/'): Promise<number> =>
  (await call(namespace, from, { url })).status;

describe('a Server with a ServerAuthorization', () => {
  it('lets the granted account in and refuses the others, in each protocol in its own terms', async () => {
    await withNamespace('authz', async ({ name }) => {
      await town(name, everything(name));
      expect(await status(name, 'friend')).toBe(200);
      const refused = await call(name, 'stranger', { url: 'http://web/' });
      expect(refused.status).toBe(403);
      expect(await status(name, 'outsider')).toBe(403);

      const once = { count: 5, concurrency: 1, durationMs: 15_000 };
      const grpcFriend = await runLoad(name, 'friend', { protocol: 'grpc', target: 'web:9090', ...once });
      expect(grpcFriend.byStatus['OK']?.count, JSON.stringify(grpcFriend)).toBe(5);
      const grpcStranger = await runLoad(name, 'stranger', { protocol: 'grpc', target: 'web:9090', ...once });
      expect(grpcStranger.byStatus['PermissionDenied']?.count, JSON.stringify(grpcStranger)).toBe(5);

      const tcpFriend = await runLoad(name, 'friend', { protocol: 'tcp', target: 'web:7000', ...once });
      expect(tcpFriend, JSON.stringify(tcpFriend)).toMatchObject({ answered: 5, failed: 0 });
      const tcpStranger = await runLoad(name, 'stranger', { protocol: 'tcp', target: 'web:7000', ...once });
      expect(tcpStranger, JSON.stringify(tcpStranger)).toMatchObject({ answered: 0, failed: 5 });

      const samples = await weftMetrics(await podIp(name, 'web'));
      expect(sumOf(samples, 'inbound_http_authz_deny_total')).toBeGreaterThanOrEqual(7);
      expect(sumOf(samples, 'inbound_tcp_authz_deny_total')).toBeGreaterThanOrEqual(5);
      expect(sumOf(samples, 'inbound_http_authz_allow_total')).toBeGreaterThanOrEqual(6);
    });
  });

  it('refuses unmeshed clients only where a Server stands', async () => {
    await withNamespace('authz-unmeshed', async ({ name }) => {
      await town(name, []);
      expect(await status(name, 'outsider')).toBe(200);
      await apply(server(name, 'http'), grant(name, 'friend', 'http'));
      await eventually('the outsider is refused', async () => (await status(name, 'outsider')) === 403);
      expect(await status(name, 'friend')).toBe(200);
      await deleteObject('server.policy.linkerd.io', 'web-http', name);
      await eventually('the outsider is let in again', async () => (await status(name, 'outsider')) === 200);
    });
  });

  it('holds over IPv6 as over IPv4', async () => {
    await withNamespace('authz-ipv6', async ({ name }) => {
      await town(name, everything(name));
      const [pod] = await podAddresses(name, 'app=web');
      const six = pod?.ips.find(address => address.includes(':'));
      // A node without IPv6 for pods has no way round to close.
      expect(six, 'the node gives pods an IPv6 address').toBeDefined();
      expect(await status(name, 'outsider', `http://[${six}]:8080/`)).toBe(403);
      expect(await status(name, 'stranger', `http://[${six}]:8080/`)).toBe(403);
      expect(await status(name, 'friend', `http://[${six}]:8080/`)).toBe(200);
    });
  });

  it('never lets a forged identity header reach the application', async () => {
    await withNamespace('authz-forged', async ({ name }) => {
      await town(name, []);
      const headers = {
        'weft-client-id': 'spiffe://cluster.local/ns/kube-system/sa/root',
        'l5d-client-id': 'root.kube-system',
      };
      for (const from of ['friend', 'outsider']) {
        const { body, status: code } = await call(name, from, { url: 'http://web/', headers });
        expect(code).toBe(200);
        expect(body).not.toContain('kube-system');
        const seen = JSON.parse(body) as { headers: Record<string, string> };
        expect(seen.headers['weft-client-id']).toBe(
          from === 'friend' ? `spiffe://cluster.local/ns/${name}/sa/friend` : undefined,
        );
      }
    });
  });
});

describe('a right that is revoked', () => {
  it('ends on a live keep-alive connection and on a live TCP connection', async () => {
    await withNamespace('authz-revoked', async ({ name }) => {
      await town(name, everything(name));
      const http = await startLoad(name, 'friend', {
        protocol: 'http1',
        target: 'http://web/',
        rate: 50,
        connections: 1,
        durationMs: 60_000,
      });
      const tcp = await startLoad(name, 'friend', {
        protocol: 'tcp-hold',
        target: 'web:7000',
        rate: 20,
        durationMs: 60_000,
      });
      await eventually(
        'both run',
        async () => {
          const [first, second] = [await http.report(), await tcp.report()];
          return first.answered > 50 && second.answered > 20 && first.failed === 0 && second.failed === 0;
        },
        { deadlineMs: 20_000 },
      );
      await deleteObject('serverauthorization.policy.linkerd.io', 'friend-http', name);
      await deleteObject('serverauthorization.policy.linkerd.io', 'friend-tcp', name);
      const revokedMs = Date.now();
      await new Promise(resolve => setTimeout(resolve, 2_000));
      const [first, second] = [await http.stop(), await tcp.stop()];
      expect(first.byStatus['403']?.count).toBeGreaterThan(20);
      expect((first.byStatus['200']?.lastSentMs ?? 0) - revokedMs).toBeLessThan(500);
      expect(second.byStatus['closed']?.count).toBeGreaterThan(0);
      expect((second.byStatus['ok']?.lastSentMs ?? 0) - revokedMs).toBeLessThan(500);
      const samples = await weftMetrics(await podIp(name, 'web'));
      expect(sumOf(samples, 'inbound_tcp_authz_terminate_total')).toBeGreaterThanOrEqual(1);
    });
  });
});
