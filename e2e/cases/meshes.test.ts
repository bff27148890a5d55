import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  call,
  captureBytes,
  clientPod,
  deleteObject,
  eventually,
  getObject,
  kubectl,
  podIp,
  runLoad,
  serverApp,
  service,
  startLoad,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../harness/index.ts';

interface Settings {
  readonly trusts?: readonly string[];
  readonly isolation?: 'Permissive' | 'Strict';
}

interface Mesh {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  };
}

const meshes = ['east', 'west'] as const;
const marker = 'woven-in-two-cloths-90125';

/** Each under a root of its own, made by the operator. */
async function configure(mesh: (typeof meshes)[number], settings: Settings = {}): Promise<void> {
  await apply({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'MeshConfig',
    metadata: { name: mesh },
    spec: { trustDomain: `${mesh}.test`, identity: { mode: 'SelfManaged' }, ...settings },
  });
}

async function condition(mesh: string, type: string): Promise<string> {
  const { status } = await getObject<Mesh>('meshconfig', mesh);
  const found = status?.conditions?.find(candidate => candidate.type === type);
  return found === undefined ? 'none' : `${found.status} ${found.reason}`;
}

async function inMesh<T>(title: string, mesh: string, body: (namespace: string) => Promise<T>): Promise<T> {
  return await withNamespace(title, async ({ name }) => await body(name), { labels: { 'weft.dev/mesh': mesh } });
}

/** Who the server in the other mesh was told calls; the application answers with the headers that it got. */
async function callerSeen(namespace: string, url: string): Promise<string> {
  const { status, body, headers } = await call(namespace, 'client', { url });
  if (status !== 200) return `${status} ${headers['weft-error'] ?? ''}`.trim();
  const echo = JSON.parse(body) as { readonly headers: Readonly<Record<string, string>> };
  return echo.headers['weft-client-id'] ?? 'nobody';
}

beforeAll(async () => {
  for (const mesh of meshes) await configure(mesh);
});

afterAll(async () => {
  for (const mesh of meshes) await deleteObject('meshconfig', mesh);
});

describe('two meshes in one cluster', () => {
  it('are unmeshed to each other until both list the other; then the server sees who calls, in the trust domain of the caller', async () => {
    await inMesh('meshes-west', 'west', async west => {
      await apply(...serverApp({ namespace: west, name: 'web' }), service(west, 'web'));
      await waitRollout(west, 'web');
      await inMesh('meshes-east', 'east', async east => {
        await apply(...clientPod({ namespace: east, name: 'client', serviceAccount: 'client' }));
        await waitRollout(east, 'client');
        const url = `http://web.${west}/echo`;
        await waitAnswered(east, 'client', url);
        const crossing = async (): Promise<Buffer> => {
          const [server, client] = [await podIp(west, 'web'), await podIp(east, 'client')];
          return await captureBytes(`tcp and host ${server} and host ${client}`, async () => {
            const report = await runLoad(east, 'client', {
              protocol: 'http1',
              target: url,
              count: 20,
              concurrency: 2,
              durationMs: 20_000,
              headers: { 'x-marker': marker },
            });
            expect(report, JSON.stringify(report.errors)).toMatchObject({ sent: 20, failed: 0 });
          });
        };
        const identity = `spiffe://east.test/ns/${east}/sa/client`;

        expect(await callerSeen(east, url)).toBe('nobody');
        expect((await crossing()).includes(marker)).toBe(true);

        // One-sided: nothing changes but the condition, which names the other.
        await configure('east', { trusts: ['west'] });
        await eventually(
          'the condition says so',
          async () => (await condition('east', 'ResolvedRefs')) === 'False TrustNotMutual',
          { deadlineMs: 30_000 },
        );
        expect(await callerSeen(east, url)).toBe('nobody');

        await configure('west', { isolation: 'Strict' });
        await eventually('west is closed to east', async () => (await callerSeen(east, url)) === '403 denied', {
          deadlineMs: 30_000,
        });
        // The kubelet still sees the truth.
        expect(
          await kubectl(['get', 'pods', '-n', west, '-o', 'jsonpath={.items[*].status.containerStatuses[*].ready}']),
        ).toBe('true');
        await waitRollout(west, 'web');

        await configure('west', { isolation: 'Strict', trusts: ['east'] });
        await eventually('west sees the identity of east', async () => (await callerSeen(east, url)) === identity, {
          deadlineMs: 30_000,
        });
        expect((await crossing()).includes(marker)).toBe(false);
        await eventually(
          'the condition says so',
          async () => (await condition('east', 'ResolvedRefs')) === 'True ResolvedRefs',
          { deadlineMs: 30_000 },
        );

        // By identity, and by the service account in a namespace of the other mesh.
        const grant = async (client: object): Promise<void> =>
          await apply(
            {
              apiVersion: 'policy.linkerd.io/v1beta3',
              kind: 'Server',
              metadata: { name: 'web', namespace: west },
              spec: { podSelector: { matchLabels: { app: 'web' } }, port: 'http' },
            },
            {
              apiVersion: 'policy.linkerd.io/v1beta1',
              kind: 'ServerAuthorization',
              metadata: { name: 'web', namespace: west },
              spec: { server: { name: 'web' }, client: { meshTLS: client } },
            },
          );
        await grant({ serviceAccounts: [{ name: 'somebody', namespace: east }] });
        await eventually('somebody else is meant', async () => (await callerSeen(east, url)) === '403 denied', {
          deadlineMs: 30_000,
        });
        await grant({ serviceAccounts: [{ name: 'client', namespace: east }] });
        await eventually('the account is meant', async () => (await callerSeen(east, url)) === identity, {
          deadlineMs: 30_000,
        });
        await grant({ identities: [`spiffe://west.test/ns/${east}/sa/client`] });
        await eventually('the wrong domain is not meant', async () => (await callerSeen(east, url)) === '403 denied', {
          deadlineMs: 30_000,
        });
        await grant({ identities: [identity] });
        await eventually('the identity is meant', async () => (await callerSeen(east, url)) === identity, {
          deadlineMs: 30_000,
        });

        await configure('east', {});
        await eventually('trust ends with one side', async () => (await callerSeen(east, url)) === '403 denied', {
          deadlineMs: 30_000,
        });
      });
    });
  });
});

describe('trust between two meshes', () => {
  it('is set up and taken down under 200 requests per second', async () => {
    for (const mesh of meshes) await configure(mesh);
    await inMesh('meshes-server', 'west', async west => {
      await apply(...serverApp({ namespace: west, name: 'web', replicas: 2 }), service(west, 'web'));
      await inMesh('meshes-client', 'east', async east => {
        await apply(...clientPod({ namespace: east, name: 'client' }));
        await Promise.all([waitRollout(west, 'web'), waitRollout(east, 'client')]);
        const url = `http://web.${west}/`;
        await waitAnswered(east, 'client', url);
        const load = await startLoad(east, 'client', {
          protocol: 'http1',
          target: url,
          rate: 200,
          durationMs: 200_000,
          concurrency: 16,
          connections: 16,
        });
        await eventually('traffic flows', async () => (await load.report()).answered > 200, { deadlineMs: 60_000 });
        const identity = `spiffe://east.test/ns/${east}/sa/default`;
        for (let round = 0; round < 3; round++) {
          await configure('east', { trusts: ['west'] });
          await configure('west', { trusts: ['east'] });
          await eventually('trust', async () => (await callerSeen(east, url)) === identity, { deadlineMs: 30_000 });
          await configure('west');
          await eventually('no trust', async () => (await callerSeen(east, url)) === 'nobody', { deadlineMs: 30_000 });
        }
        const { sent, answered, failed, errors, byStatus } = await load.stop();
        const statuses = Object.entries(byStatus).map(([code, { count }]) => `${count} x ${code}`);
        console.log(`trust: ${failed} of ${sent} requests failed, ${statuses.join(', ')} ${JSON.stringify(errors)}`);
        expect(answered + failed).toBe(sent);
        expect(failed).toBe(0);
      });
    });
  });
});

describe('a namespace that changes its mesh', () => {
  it('loses nothing at 200 requests per second, and its pods keep their mesh until they are replaced', async () => {
    await configure('east', { trusts: ['west'] });
    await configure('west', { trusts: ['east'] });
    await inMesh('meshes-callers', 'east', async callers => {
      await apply(...clientPod({ namespace: callers, name: 'client', serviceAccount: 'client' }));
      await waitRollout(callers, 'client');
      await inMesh('meshes-moved', 'east', async moved => {
        await apply(
          service(moved, 'web'),
          ...serverApp({ namespace: moved, name: 'web', replicas: 2, args: ['--linger', '3s'] }),
        );
        await waitRollout(moved, 'web');
        const url = `http://web.${moved}/`;
        await waitAnswered(callers, 'client', url);
        const spec = { rate: 100, durationMs: 240_000, concurrency: 16 };
        const loads = await Promise.all([
          startLoad(callers, 'client', { ...spec, protocol: 'http1', target: url, connections: 16 }),
          startLoad(callers, 'client', { ...spec, protocol: 'grpc', target: `web.${moved}:9090`, connections: 2 }),
        ]);
        for (const load of loads)
          await eventually('traffic flows', async () => (await load.report()).answered > 200, { deadlineMs: 60_000 });

        await kubectl(['label', 'namespace', moved, 'weft.dev/mesh=west', '--overwrite']);
        const proxies = async (): Promise<string> =>
          await kubectl([
            'get',
            'pods',
            '-n',
            moved,
            '--field-selector=status.phase=Running',
            '-o',
            'jsonpath={.items[*].metadata.labels.weft\\.dev/proxy}',
          ]);
        // Ten seconds of traffic with the label changed and no pod replaced.
        const before = (await loads[0].report()).answered;
        await eventually('traffic goes on', async () => (await loads[0].report()).answered > before + 1_000, {
          deadlineMs: 60_000,
        });
        expect(await proxies()).toBe('east east');

        await kubectl(['rollout', 'restart', 'deployment/web', '-n', moved]);
        await waitRollout(moved, 'web');
        await eventually('the old pods are gone', async () => (await proxies()) === 'west west', {
          deadlineMs: 60_000,
          everyMs: 500,
        });
        const after = (await loads[0].report()).answered;
        await eventually('the new pods serve', async () => (await loads[0].report()).answered > after + 300, {
          deadlineMs: 60_000,
        });
        const reports = await Promise.all(loads.map(async load => await load.stop()));
        for (const { sent, answered, failed, errors } of reports) {
          console.log(`moved: ${failed} of ${sent} requests failed, ${answered} answered ${JSON.stringify(errors)}`);
          expect(failed, JSON.stringify(errors)).toBe(0);
          expect(answered).toBe(sent);
          expect(sent).toBeGreaterThan(1_500);
        }
      });
    });
  });
});
