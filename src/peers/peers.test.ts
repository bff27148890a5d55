import { connect, type ConnectionOptions } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeCa, operatorServerName } from '../identity/index.ts';
import { createIdentity } from '../identity/index.ts';
import { aMesh } from '../identity/testing.ts';
import { objectKey, podKey } from '../kernel/index.ts';
import { silentLogger } from '../runtime/index.ts';
import {
  aProxy,
  aResource,
  aWho,
  QUICK,
  someReplicas,
  type TestReplica,
  type TestReplicas,
} from './testing/replicas.ts';

const SPLIT = objectKey({ group: 'split.smi-spec.io', kind: 'TrafficSplit', namespace: 'demo', name: 'web' });
const OUTBOUND = 'outbound/10.0.0.1:80';
const WAIT = { timeout: 60_000, interval: 10 };

const held = (name: string, ackedVersion: string, sentVersion = ackedVersion) => ({
  name,
  ackedVersion,
  sentVersion,
  nackReason: undefined,
});
const pods = ({ peers }: TestReplica): string[] =>
  peers.registry
    .proxies()
    .map(({ who, replica }) => `${who.podKey.split('/').at(-1)}@${replica}`)
    .toSorted();
const missing = ({ peers }: TestReplica): string[] => peers.registry.missing().map(({ replica }) => replica);

describe('replicas that follow each other', { timeout: 120_000 }, () => {
  let replicas: TestReplicas;
  let [a, b, c]: TestReplica[] = [];

  beforeEach(async () => {
    replicas = await someReplicas();
    [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => replicas.start(name)));
  });
  afterEach(() => replicas.close());

  const all = (): [TestReplica, TestReplica, TestReplica] => {
    if (a === undefined || b === undefined || c === undefined) throw new Error('no replicas');
    return [a, b, c];
  };
  async function meet(): Promise<void> {
    replicas.introduce(...all());
    await vi.waitFor(() => expect(all().flatMap(missing)).toEqual([]), WAIT);
  }

  it('know the proxies of all, those that were there and those that come and go', async () => {
    const [one, two, three] = all();
    one.own.put(aProxy('p1'));
    two.own.put(aProxy('p2'));
    await meet();
    await vi.waitFor(() => {
      expect(pods(one)).toEqual(['p1@', 'p2@b']);
      expect(pods(three)).toEqual(['p1@a', 'p2@b']);
    }, WAIT);
    three.own.put(aProxy('p3', { resources: [{ ...held('workload', 'w1', 'w2'), nackReason: 'unknown protocol' }] }));
    two.own.remove(podKey('demo', 'p2'));
    await vi.waitFor(() => expect(pods(one)).toEqual(['p1@', 'p3@c']), WAIT);
    expect(one.peers.registry.proxies().find(({ replica }) => replica === 'c')).toMatchObject({
      who: aWho('p3'),
      connected: true,
      resources: [{ ...held('workload', 'w1', 'w2'), nackReason: 'unknown protocol' }],
    });
  });

  it('tell a proxy that changes often as its newest state, and seldom', async () => {
    const [one, two] = all();
    two.own.put(aProxy('p'));
    await meet();
    const before = one.metrics.value('weft_peers_updates_total', { direction: 'received' });
    for (let version = 1; version <= 500; version++) {
      two.own.put(aProxy('p', { resources: [held('workload', `v${version}`)] }));
      if (version % 50 === 0) await new Promise(setImmediate);
    }
    await vi.waitFor(
      () => expect(one.peers.registry.proxies()[0]?.resources).toEqual([held('workload', 'v500')]),
      WAIT,
    );
    expect(one.metrics.value('weft_peers_updates_total', { direction: 'received' }) - before).toBeLessThan(50);
  });

  it('pass on thousands of proxies in messages of a bounded size', async () => {
    const [one, two] = all();
    const resources = Array.from({ length: 20 }, (_, index) => held(`outbound/10.0.0.${index}:80`, `${index}`));
    two.own.put(...Array.from({ length: 3_000 }, (_, index) => aProxy(`p${index}`, { resources })));
    await meet();
    expect(one.peers.registry.proxies()).toHaveLength(3_000);
    const sent = two.metrics.value('weft_peers_updates_total', { direction: 'sent' });
    expect(sent).toBeGreaterThan(2);
    // Texts are shared: a proxy costs less than its names alone would.
    expect(two.metrics.value('weft_peers_told_bytes_total') / 2 / 3_000).toBeLessThan(200);
  });

  it('count what proxies elsewhere have acknowledged against what is compiled here', async () => {
    const [one, two, three] = all();
    one.source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v1', [SPLIT]));
    const resources = [held(OUTBOUND, 'v1'), held('workload', 'w1')];
    one.own.put(aProxy('p1'));
    one.own.held.set(podKey('demo', 'p1'), 'ready');
    two.own.put(aProxy('p2', { resources }));
    three.own.put(
      aProxy('p3', { resources: [held(OUTBOUND, 'v0', 'v1'), held('workload', 'w1')] }),
      aProxy('p4', { resources: [held(OUTBOUND, 'v1'), held('workload', '')] }),
      aProxy('p5', { resources, connected: false, silent: true }),
    );
    await meet();
    const holders = (key: typeof SPLIT) => one.peers.registry.holders(key);
    // p4 has never acknowledged its workload.
    expect(holders(SPLIT)).toEqual({ total: 4, ready: 2, silent: ['demo/p5'] });
    three.own.put(aProxy('p3', { resources }));
    await vi.waitFor(() => expect(holders(SPLIT)).toMatchObject({ ready: 3 }), WAIT);
    one.source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v2', [SPLIT]));
    one.source.publish();
    expect(holders(SPLIT)).toEqual({ total: 4, ready: 1, silent: ['demo/p5'] });
  });

  it('count a proxy once that moves from one to the other', async () => {
    const [one, two, three] = all();
    one.source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v1', [SPLIT]));
    const resources = [held(OUTBOUND, 'v1'), held('workload', 'w1')];
    one.own.put(aProxy('p', { connectedAtMs: 1, connected: false }));
    one.own.held.set(podKey('demo', 'p'), 'behind');
    two.own.put(aProxy('p', { connectedAtMs: 2, resources: [held(OUTBOUND, 'v0'), held('workload', 'w1')] }));
    three.own.put(aProxy('p', { connectedAtMs: 3, resources }));
    await meet();
    expect(pods(one)).toEqual(['p@c']);
    expect(one.peers.registry.holders(SPLIT)).toEqual({ total: 1, ready: 1, silent: [] });
    expect(pods(three)).toEqual(['p@']);
  });

  it('name a replica that is gone, keep its proxies while it is expected, and forget them once it is not', async () => {
    const [one, two, three] = all();
    two.own.put(aProxy('kept'), aProxy('deleted'));
    await meet();
    await replicas.stop(two);
    await vi.waitFor(() => expect(one.peers.registry.missing()).toMatchObject([{ replica: 'b' }]), WAIT);
    one.source.gone.add(podKey('demo', 'deleted'));
    await vi.waitFor(() => expect(pods(one)).toEqual(['kept@b']), WAIT);
    expect(one.peers.registry.proxies()).toMatchObject([{ connected: false }]);
    expect(one.metrics.value('weft_peers', { state: 'missing' })).toBe(1);
    const again = await replicas.start('b');
    again.own.put(aProxy('new'));
    replicas.introduce(one, again, three);
    await vi.waitFor(() => expect([missing(one), pods(one)]).toEqual([[], ['new@b']]), WAIT);
    await replicas.stop(again);
    one.peers.expect([{ replica: 'c', address: `127.0.0.1:${three.port}`, serving: true }]);
    expect(pods(one)).toEqual(['new@b']);
    await vi.waitFor(() => expect([missing(one), pods(one)]).toEqual([[], []]), WAIT);
  });

  it('notice one that answers no more although its connection stands', async () => {
    const [, two] = all();
    const one = await replicas.start('impatient', { timing: { ...QUICK, keepaliveMs: 500 } });
    two.own.put(aProxy('p'));
    // What arrives is taken and goes nowhere, as behind a cut cable.
    const { createServer, connect: dial } = await import('node:net');
    let cut = false;
    const sockets = new Set<{ destroy(): void }>();
    const hole = createServer(client => {
      const upstream = dial(two.port, '127.0.0.1');
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(from);
        from.on('data', bytes => void (cut || to.write(bytes)));
        from.on('error', () => undefined);
      }
    });
    const port = await new Promise<number>(resolve => {
      hole.listen(0, '127.0.0.1', () => resolve((hole.address() as { port: number }).port));
    });
    one.peers.expect([{ replica: 'b', address: `127.0.0.1:${port}`, serving: true }]);
    await vi.waitFor(() => expect([missing(one), pods(one)]).toEqual([[], ['p@b']]), WAIT);
    cut = true;
    await vi.waitFor(() => expect(missing(one)).toEqual(['b']), WAIT);
    cut = false;
    await vi.waitFor(() => expect(missing(one)).toEqual([]), WAIT);
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => hole.close(resolve));
  });

  it('take nobody for a replica whose name is another', async () => {
    const [one, two] = all();
    one.peers.expect([{ replica: 'x', address: `127.0.0.1:${two.port}`, serving: true }]);
    await vi.waitFor(
      () =>
        expect(one.peers.registry.missing()).toEqual([{ replica: 'x', reason: 'replica b answers at its address' }]),
      WAIT,
    );
  });
});

describe('the port of a replica', { timeout: 120_000 }, () => {
  let replicas: TestReplicas;
  let replica: TestReplica;

  beforeEach(async () => {
    replicas = await someReplicas();
    replica = await replicas.start('a');
  });
  afterEach(() => replicas.close());

  /** A leaf of the mesh for another service account. */
  async function leafOf(serviceAccount: string, authority = replicas.authority): Promise<ConnectionOptions> {
    const clock = { nowMs: () => Date.now() };
    const account = { namespace: 'weft-system', serviceAccount };
    const identity = createIdentity({ clock, log: silentLogger, controlNamespace: 'weft-system', account });
    const made = new Promise<void>(resolve => void identity.own.onChange(() => resolve()));
    identity.issuers.update([aMesh(authority.secret)]);
    await made;
    const leaf = identity.own.get('default');
    identity.close();
    return { cert: leaf?.certificatePem ?? '', key: leaf?.privateKeyPem ?? '' };
  }

  /** Whether the connection is still there after its handshake; in TLS 1.3 a client learns of its refusal later. */
  function isAccepted(options: ConnectionOptions): Promise<boolean> {
    return new Promise(resolve => {
      const socket = connect({
        host: '127.0.0.1',
        port: replica.port,
        servername: operatorServerName('default'),
        ca: replicas.authority.root.certificatePem,
        ALPNProtocols: ['h2'],
        ...options,
      });
      const settle = (accepted: boolean): void => {
        socket.destroy();
        resolve(accepted);
      };
      // The server's HTTP/2 settings come only to who was let in.
      socket.once('data', () => settle(true));
      socket.once('error', () => settle(false));
      socket.once('close', () => settle(false));
    });
  }

  it('lets in the operator alone', async () => {
    expect(await isAccepted(await leafOf('weft-operator'))).toBe(true);
    expect(await isAccepted(await leafOf('web'))).toBe(false);
    expect(await isAccepted({})).toBe(false);
  });

  it('lets in nobody by a certificate of another authority', async () => {
    const other = await someReplicas();
    expect(await isAccepted(await leafOf('weft-operator', other.authority))).toBe(false);
    await other.close();
  });

  it('is not believed by a replica that trusts another authority', async () => {
    const other = await someReplicas();
    const stranger = await other.start('stranger');
    stranger.peers.expect([{ replica: 'a', address: `127.0.0.1:${replica.port}`, serving: true }]);
    await vi.waitFor(() => expect(stranger.peers.registry.missing()[0]?.reason).toMatch(/certificate/), WAIT);
    await other.close();
  });

  it('shows no certificate under another name', async () => {
    const ca = await makeCa({ commonName: 'x', nowMs: Date.now(), validForMs: 3_600_000 });
    const accepted = await isAccepted({
      ...(await leafOf('weft-operator')),
      servername: operatorServerName('other'),
      rejectUnauthorized: false,
      ca: ca.certificatePem,
    });
    expect(accepted).toBe(false);
  });
});
