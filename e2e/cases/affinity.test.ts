import { beforeAll, expect, it } from 'vitest';
import {
  apply,
  clientPod,
  deleteObject,
  eventually,
  evidence,
  fileNamespace,
  kubectl,
  type KubernetesObject,
  type LoadReport,
  type LoadSpec,
  podAddresses,
  runLoad,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
} from '../harness/index.ts';

const namespace = fileNamespace('affinity');
const servers = ['web-0', 'web-1', 'web-2', 'web-3'];
const clients = ['client', 'second'];

const sticky: KubernetesObject = (() => {
  const plain = service(namespace, 'web', { tier: 'web' });
  return { ...plain, spec: { ...(plain['spec'] as object), sessionAffinity: 'ClientIP' } };
})();

async function load(what: string, app: string, spec: Partial<LoadSpec> = {}): Promise<LoadReport> {
  const requests = {
    protocol: 'http1',
    target: 'http://web/',
    concurrency: 8,
    count: 200,
    durationMs: 60_000,
  } as const;
  return evidence(`${what}, ${app}`, await runLoad(namespace, app, { ...requests, ...spec }));
}

/** The one server that answered all requests of the run. */
function only(report: LoadReport): string {
  expect(report.failed, JSON.stringify(report.errors)).toBe(0);
  expect(Object.keys(report.byBackend)).toHaveLength(1);
  return Object.keys(report.byBackend)[0] ?? '';
}

/** The same, once the client's proxy knows of the change that was just made. */
async function settled(what: string, left?: string): Promise<string> {
  return await eventually(what, async () => {
    const { byBackend, failed } = await load(what, 'client');
    const [first, ...others] = Object.keys(byBackend);
    return failed === 0 && first !== undefined && others.length === 0 && first !== left && first;
  });
}

async function scale(server: string, replicas: number): Promise<void> {
  await kubectl(['scale', `deployment/${server}`, '-n', namespace, `--replicas=${replicas}`]);
  if (replicas > 0) return await waitRollout(namespace, server);
  await eventually(`${server} is gone`, async () => (await podAddresses(namespace, `app=${server}`)).length === 0, {
    deadlineMs: 30_000,
  });
}

beforeAll(async () => {
  await apply(
    sticky,
    service(namespace, 'spread', { tier: 'web' }),
    ...servers.flatMap(name => serverApp({ namespace, name, labels: { tier: 'web' } })),
    ...clients.flatMap(name => clientPod({ namespace, name })),
  );
  await Promise.all([...servers, ...clients].map(app => waitRollout(namespace, app)));
  for (const client of clients) await waitAnswered(namespace, client);
});

it('sessionAffinity ClientIP keeps the requests and the connections of bytes of a pod to one endpoint of each port, as long as it is there', async () => {
  for (const client of clients) {
    const spread = await load('no affinity', client, { target: 'http://spread/' });
    expect(Object.keys(spread.byBackend).length).toBeGreaterThan(1);
    const owner = only(await load('HTTP/1.1', client));
    expect(only(await load('HTTP/2', client, { protocol: 'http2', connections: 2 }))).toBe(owner);
    // Each port of the Service has its own, as with kube-proxy.
    only(await load('gRPC', client, { protocol: 'grpc', target: 'web:9090', connections: 2 }));
    only(await load('bytes', client, { protocol: 'tcp', target: 'web:7000', count: 40 }));
  }
  const owner = only(await load('before others go', 'client'));
  const other = servers.find(server => server !== owner) ?? '';
  await scale(other, 0);
  expect(only(await load('another endpoint is gone', 'client'))).toBe(owner);
  await scale(owner, 0);
  expect(await settled('its endpoint is gone', owner)).not.toBe(other);
  await scale(other, 1);
  // A new pod may win some keys; whoever has this one keeps all of it.
  await settled('another endpoint is new');
  await deleteObject('service', 'spread', namespace);
});
