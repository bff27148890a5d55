import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeRun, outsideAddress } from '../cluster/index.ts';
import {
  apply,
  clusterName,
  deleteObject,
  eventually,
  type Gateway,
  gateway,
  gatewayAddress,
  kubectl,
  podIp,
  sumOf,
  trafficSplit,
  twoVersions,
  waitRollout,
  weftMetrics,
} from '../harness/index.ts';

// Gateways that know nothing of the mesh: they pick a pod themselves and pass on the Host that the client outside has sent.
const namespace = `ingress-${Math.random().toString(36).slice(2, 6)}`;
const identity = (account: string): string => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
const meshed: readonly Gateway[] = ['nginx', 'haproxy'];

interface Seen {
  /** `v1` or `v2`. */
  readonly name: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One request from outside the cluster through a gateway. */
async function through(name: string, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<Seen> {
  const sent = Object.entries({ host: 'shop.example', ...headers }).flatMap(([key, value]) => [
    '-H',
    `${key}: ${value}`,
  ]);
  const url = `http://${gatewayAddress(await podIp(namespace, name))}${path}`;
  return JSON.parse(
    await nodeRun(clusterName, ['curl', '-sS', '--fail', '--max-time', '10', ...sent, url], { where: 'outside' }),
  ) as Seen;
}

/** Who answered so many requests, with repetitions removed. */
async function answering(name: string, count = 12): Promise<string[]> {
  const names = new Set<string>();
  for (let asked = 0; asked < count; asked++) names.add((await through(name)).name);
  return [...names].toSorted();
}

beforeAll(async () => {
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
    },
    ...twoVersions(namespace),
  );
  await Promise.all(['web-v1', 'web-v2'].map(name => waitRollout(namespace, name)));
  const pods = [`${await podIp(namespace, 'web-v1')}:8080`, `${await podIp(namespace, 'web-v2')}:8080`];
  for (const program of meshed) await apply(...(await gateway(program, { namespace, name: program, pods })));
  await apply(...(await gateway('nginx', { namespace, name: 'stranger', pods, meshed: false })));
  await Promise.all([...meshed, 'stranger'].map(name => waitRollout(namespace, name)));
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
});

describe('a gateway without a proxy', () => {
  it('reaches pods of the mesh in plain, and what it says of the caller is not believed', async () => {
    const { name, headers } = await through('stranger', '/', { 'weft-client-id': identity('forged') });
    expect(['v1', 'v2']).toContain(name);
    expect(headers['weft-client-id']).toBeUndefined();
  });
});

describe.each(meshed)('%s with a proxy, whose upstreams are pods', program => {
  it('is known to the servers by its identity', async () => {
    const counted = async (): Promise<number> =>
      sumOf(await weftMetrics(await podIp(namespace, 'web-v1')), 'response_total', {
        direction: 'inbound',
        tls: 'true',
        client_id: identity(program),
      });
    const before = await counted();
    expect(await answering(program)).toEqual(['v1', 'v2']);
    const { host, headers } = await through(program, '/', { 'weft-client-id': identity('forged') });
    expect([host, headers['weft-client-id']]).toEqual(['shop.example', identity(program)]);
    expect(await counted()).toBeGreaterThan(before);
  });

  it('follows the TrafficSplit of the Service in front of the pods, but for requests to the pod itself', async () => {
    for (const [chosen, weights] of [
      ['v1', { 'web-v1': 1, 'web-v2': 0 }],
      ['v2', { 'web-v1': 0, 'web-v2': 1 }],
    ] as const) {
      await apply(trafficSplit(namespace, weights));
      await eventually(`all requests go to ${chosen}`, async () => (await answering(program, 4)).join() === chosen);
      expect(await answering(program)).toEqual([chosen]);
      // The last of the pods is one of v2.
      const direct = await through(program, '/direct');
      expect([direct.name, direct.headers['weft-client-id']]).toEqual(['v2', identity(program)]);
    }
    await deleteObject('trafficsplit', 'web', namespace);
    await eventually('the gateway chooses again', async () => (await answering(program)).length === 2);
  });
});

describe('the address of the client', () => {
  const forged = { 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.2', 'x-real-ip': '192.0.2.3' };

  it('is what anybody says it is, until the namespace asks for the truth', async () => {
    const asked = async (name: string): Promise<Record<string, string>> => {
      const { headers } = await through(name, '/', forged);
      return Object.fromEntries(
        Object.keys(forged).flatMap(key => (headers[key] === undefined ? [] : [[key, headers[key]]])),
      );
    };
    for (const name of ['nginx', 'stranger']) expect(await asked(name)).toEqual(forged);
    await kubectl(['annotate', 'namespace', namespace, 'weft.dev/forwarded-for=enabled', '--overwrite']);
    const [known, stranger] = [await podIp(namespace, 'nginx'), await podIp(namespace, 'stranger')];
    // The gateway with a proxy is told the truth by it, and believed by the server.
    const want = { 'x-forwarded-for': `${outsideAddress.ipv4}, ${known}` };
    await eventually('all proxies know', async () => JSON.stringify(await asked('nginx')) === JSON.stringify(want));
    // Without one it is a caller like any other.
    expect(await asked('stranger')).toEqual({ 'x-forwarded-for': stranger });
  });
});
