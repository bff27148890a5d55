import { beforeEach, describe, expect, it } from 'vitest';
import { type AppError, type ObjectKey, objectKey, podKey } from '../kernel/index.ts';
import type { Resource } from '../model/index.ts';
import { silentLogger } from '../runtime/index.ts';
import { type RecordingMetrics, recordingMetrics } from '../runtime/recording.ts';
import { type ServerMessage, decodeServerMessage } from '../wire/index.ts';
import { createFrames } from './frames.ts';
import { type Hub, createHub } from './hub.ts';
import { createHubMetrics } from './metrics.ts';
import type { ProxyRecord } from './proxy-record.ts';
import { type Registry, createRegistry } from './registry.ts';
import { aResource, aSource, aWho, anOutbound, someEndpoints, type TestSource } from './testing.ts';
import { type Topics, createTopics } from './topics.ts';
import { wireCodec } from './wire-codec.ts';

interface Peer {
  readonly proxy: ProxyRecord;
  readonly bytes: Buffer[];
  readonly got: ServerMessage[];
  /** Writes that have not left yet, when the peer is slow. */
  readonly stuck: (() => void)[];
  readonly ended: AppError[];
  /** Names, a `-` before what was removed, a `~` before deltas. */
  names(): string[];
  ack(from?: number): void;
}

describe('the hub', () => {
  let source: TestSource;
  let hub: Hub;
  let registry: Registry;
  let topics: Topics;
  let metrics: RecordingMetrics;
  let nowMs: number;

  beforeEach(() => {
    nowMs = 1_000_000;
    source = aSource();
    metrics = recordingMetrics();
    const clock = { nowMs: () => nowMs };
    topics = createTopics(source);
    registry = createRegistry({ clock, topics });
    const hubMetrics = createHubMetrics(metrics);
    const frames = createFrames({ codec: wireCodec, maxBytes: 1_000_000, onEncode: () => hubMetrics.encoded() });
    hub = createHub({
      source,
      topics,
      registry,
      frames,
      clock,
      log: silentLogger,
      metrics: hubMetrics,
      windowBytes: 256,
    });
    source.onPublish(() => hub.publish());
  });

  function set(...resources: readonly Resource[]): void {
    for (const resource of resources) source.resources.set(resource.name, resource);
  }

  function connect(
    pod: string,
    options: { slow?: boolean; held?: readonly { name: string; version: string }[]; node?: string } = {},
  ): Peer {
    const who = aWho(pod, 'default', options.node);
    source.pods.set(who.podKey, who);
    const got: ServerMessage[] = [];
    const bytes: Buffer[] = [];
    const stuck: (() => void)[] = [];
    const ended: AppError[] = [];
    const transport = {
      write: (frame: Buffer, done: () => void) => {
        const message = decodeServerMessage(frame);
        if (!message.ok) throw new Error(message.error);
        bytes.push(frame);
        got.push(message.value);
        if (options.slow === true) stuck.push(done);
        else done();
      },
      end: (error: AppError) => void ended.push(error),
    };
    const hello = { kind: 'hello' as const, proxyVersion: '1', protocol: 1, held: options.held ?? [] };
    const proxy = hub.open({ who, podUid: `uid-${pod}`, hello, transport });
    const names = () =>
      got.map(message => `${message.kind === 'remove' ? '-' : message.kind === 'delta' ? '~' : ''}${message.name}`);
    const ack = (from = 0) => {
      for (const message of got.slice(from)) hub.receive(proxy, { kind: 'ack', nonce: message.nonce });
    };
    return { proxy, bytes, got, stuck, ended, names, ack };
  }

  const subscribe = (peer: Peer, ...names: string[]) => hub.receive(peer.proxy, { kind: 'subscribe', names });
  const acked = (peer: Peer, name: string) =>
    registry
      .proxies()
      .find(state => state.who === peer.proxy.who)
      ?.resources.find(held => held.name === name);

  it('sends workload and trust unasked, and answers a subscription to what is not there with a removal', () => {
    const peer = connect('a');
    subscribe(peer, 'outbound/10.0.0.9:80');
    expect(peer.names()).toEqual(['workload', 'trust', '-outbound/10.0.0.9:80']);
  });

  it('encodes once and writes the very same bytes to every stream of a view, and asks the source once', () => {
    set(aResource('outbound/10.0.0.1:80', 'v1'));
    const peers = ['a', 'b', 'c'].map(pod => connect(pod));
    for (const peer of peers) subscribe(peer, 'outbound/10.0.0.1:80');
    const encodesBefore = metrics.value('weft_config_encodes_total');
    set(aResource('outbound/10.0.0.1:80', 'v2'));
    source.asked.count = 0;
    source.publish();
    expect(metrics.value('weft_config_encodes_total') - encodesBefore).toBe(1);
    // Three workloads, one trust, one outbound.
    expect(source.asked.count).toBe(5);
    expect(new Set(peers.map(peer => peer.bytes.at(-1)))).toHaveProperty('size', 1);
  });

  it('streams of another view share the bytes when the content is equal', () => {
    set(aResource('outbound/10.0.0.1:80', 'v1'));
    const [near, far] = [connect('a'), connect('b', { node: 'n2' })];
    subscribe(near, 'outbound/10.0.0.1:80');
    subscribe(far, 'outbound/10.0.0.1:80');
    expect(far.bytes.at(-1)).toBe(near.bytes.at(-1));
  });

  it('sends nothing when a publish changes nothing', () => {
    const peer = connect('a');
    source.publish();
    expect(peer.names()).toEqual(['workload', 'trust']);
  });

  it('sends what an outbound resource names before it, and removals last', () => {
    const [outbound, old, next] = ['outbound/10.0.0.1:80', 'endpoints/demo/old:80', 'endpoints/demo/next:80'];
    set(anOutbound(outbound, 'v1', [old]), someEndpoints(old, [{}]), someEndpoints(next, [{}]));
    const peer = connect('a');
    subscribe(peer, outbound, old, next);
    const before = peer.got.length;
    source.resources.delete(old);
    set(anOutbound(outbound, 'v2', [next]), someEndpoints(next, [{ address: '10.0.0.2' }]));
    source.publish();
    expect(peer.names().slice(before)).toEqual([next, outbound, `-${old}`]);
  });

  it('a slow client gets only the newest version, and nothing is queued for it', () => {
    const name = 'outbound/10.0.0.1:80';
    set(aResource(name, 'x'.repeat(300)));
    const peer = connect('a', { slow: true });
    subscribe(peer, name);
    for (let round = 0; round < 100; round += 1) {
      set(aResource(name, `${round}`.padStart(300, '-')));
      source.publish();
    }
    // The window took something, then nothing more.
    const sentWhileStuck = peer.got.length;
    expect(sentWhileStuck).toBeLessThanOrEqual(4);
    expect(peer.proxy.waiting.upserts.size).toBe(1);
    while (peer.stuck.length > 0) peer.stuck.shift()?.();
    expect(peer.got).toHaveLength(sentWhileStuck + 1);
    expect(acked(peer, name)?.sentVersion).toBe(source.resources.get(name)?.version);
    expect(peer.proxy.inFlightBytes).toBe(0);
  });

  it('a refused version is recorded, is not sent again, and its successor is', () => {
    const name = 'outbound/10.0.0.1:80';
    set(aResource(name, 'v1'));
    const peer = connect('a');
    subscribe(peer, name);
    peer.ack();
    set(aResource(name, 'v2'));
    source.publish();
    const refused = peer.got.at(-1);
    hub.receive(peer.proxy, { kind: 'nack', nonce: refused?.nonce ?? 0n, resource: name, reason: 'bad regex' });
    const version = source.resources.get(name)?.version;
    expect(acked(peer, name)).toEqual({
      name,
      ackedVersion: aResource(name, 'v1').version,
      sentVersion: version,
      nackReason: 'bad regex',
    });
    const before = peer.got.length;
    source.publish();
    source.publish();
    expect(peer.got).toHaveLength(before);
    set(aResource(name, 'v3'));
    source.publish();
    peer.ack(before);
    expect(acked(peer, name)).toMatchObject({ ackedVersion: aResource(name, 'v3').version, nackReason: undefined });
    expect(metrics.value('weft_config_answers_total', { result: 'nack' })).toBe(1);
  });

  it('sends a delta where the base fits, the whole where it does not, and the whole after a nack "base"', () => {
    const name = 'endpoints/demo/web:80';
    const addresses = (count: number, from = 0) =>
      Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${from + index}` }));
    set(someEndpoints(name, addresses(10)));
    const peer = connect('a');
    subscribe(peer, name);
    peer.ack();
    const held = someEndpoints(name, addresses(10)).version;
    set(someEndpoints(name, addresses(11)));
    source.publish();
    expect(peer.got.at(-1)).toMatchObject({
      kind: 'delta',
      delta: { baseVersion: held, upserted: [{ address: '10.0.0.10' }], removed: [] },
    });
    // A latecomer has no base.
    const late = connect('b');
    subscribe(late, name);
    expect(late.got.at(-1)).toMatchObject({ kind: 'upsert', name });
    // Everything else: no delta pays.
    set(someEndpoints(name, addresses(10, 100)));
    source.publish();
    expect(peer.got.at(-1)).toMatchObject({ kind: 'upsert', name });
    peer.ack();

    set(someEndpoints(name, addresses(9, 100)));
    source.publish();
    const delta = peer.got.at(-1);
    expect(delta).toMatchObject({ kind: 'delta', delta: { removed: ['10.0.0.109:8080'] } });
    hub.receive(peer.proxy, { kind: 'nack', nonce: delta?.nonce ?? 0n, resource: name, reason: 'base' });
    expect(peer.got.at(-1)).toMatchObject({ kind: 'upsert', name });
    expect(acked(peer, name)?.nackReason).toBeUndefined();
  });

  it('a reconnecting proxy gets differences only', () => {
    const [same, changed, gone] = ['outbound/10.0.0.1:80', 'outbound/10.0.0.2:80', 'outbound/10.0.0.3:80'];
    set(aResource(same, 'v1'), aResource(changed, 'v2'));
    const held = [
      { name: 'workload', version: aResource('workload', 'w1').version },
      { name: 'trust', version: aResource('trust', 't1').version },
      { name: same, version: aResource(same, 'v1').version },
      { name: changed, version: aResource(changed, 'v1').version },
      { name: gone, version: 'something' },
    ];
    const peer = connect('a', { held });
    expect(peer.names()).toEqual([changed, `-${gone}`]);
    expect(acked(peer, same)?.ackedVersion).toBe(aResource(same, 'v1').version);
  });

  it('a newer stream of the pod takes the place of the older', () => {
    const old = connect('a');
    const young = connect('a');
    expect(old.ended).toMatchObject([{ code: 'aborted' }]);
    expect(registry.proxies()).toHaveLength(1);
    hub.closed(old.proxy);
    set(aResource('trust', 't2'));
    source.publish();
    expect([old.names().length, young.names()]).toEqual([2, ['workload', 'trust', 'trust']]);
  });

  it('a pod that is gone, or has changed its mesh, loses its stream', () => {
    const [gone, moved] = [connect('a'), connect('b')];
    source.pods.delete(podKey('demo', 'a'));
    source.pods.set(podKey('demo', 'b'), aWho('b', 'other'));
    source.publish();
    expect([gone.ended, moved.ended]).toMatchObject([[{ code: 'permission-denied' }], [{ code: 'permission-denied' }]]);
    expect([registry.proxies(), topics.size]).toEqual([[], 0]);
    expect(metrics.value('weft_config_streams')).toBe(0);
  });

  it('a pod whose view changes is served as the new view sees things', () => {
    const name = 'outbound/10.0.0.1:80';
    set(aResource(name, 'v1'));
    const peer = connect('a');
    subscribe(peer, name);
    source.pods.set(podKey('demo', 'a'), aWho('a', 'default', 'n9'));
    source.publish();
    expect([...registry.records.values()].map(record => record.slots.get(name)?.topic.who.view.node)).toEqual(['n9']);
    expect(peer.names()).toEqual(['workload', 'trust', name]);
    hub.receive(peer.proxy, { kind: 'unsubscribe', names: [name] });
    expect(topics.size).toBe(2);
  });

  it('unsubscribed resources are sent no more; workload and trust cannot be unsubscribed', () => {
    const name = 'outbound/10.0.0.1:80';
    set(aResource(name, 'v1'));
    const peer = connect('a');
    subscribe(peer, name);
    hub.receive(peer.proxy, { kind: 'unsubscribe', names: [name, 'trust'] });
    set(aResource(name, 'v2'), aResource('trust', 't2'));
    source.publish();
    expect(peer.names()).toEqual(['workload', 'trust', name, 'trust']);
  });

  it('too many or impossible names end the stream', () => {
    const [many, empty] = [connect('a'), connect('b')];
    subscribe(many, ...Array.from({ length: 25_001 }, (_, index) => `outbound/10.0.0.1:${index}`));
    subscribe(empty, '');
    expect([many.ended, empty.ended]).toMatchObject([[{ code: 'resource-exhausted' }], [{ code: 'invalid-argument' }]]);
  });

  describe('holders', () => {
    const split: ObjectKey = objectKey({
      group: 'split.smi-spec.io',
      kind: 'TrafficSplit',
      namespace: 'demo',
      name: 'web',
    });
    const [first, second] = ['outbound/10.0.0.1:80', 'outbound/10.0.0.2:80'];
    const derived = (name: string, text: string) => aResource(name, text, [split]);

    it('count ready proxies that hold something derived from the object, once each', () => {
      set(derived(first, 'v1'), derived(second, 'v1'));
      const [a, b] = [connect('a'), connect('b')];
      connect('c').ack();
      subscribe(a, first, second);
      subscribe(b, first);
      // Nothing is acknowledged: none of them is ready at all.
      expect(registry.holders(split)).toEqual({ total: 0, ready: 0, silent: [] });
      a.ack();
      b.ack();
      expect(registry.holders(split)).toEqual({ total: 2, ready: 2, silent: [] });
      set(derived(second, 'v2'));
      source.publish();
      expect(registry.holders(split)).toEqual({ total: 2, ready: 1, silent: [] });
      a.ack();
      expect(registry.holders(split)).toEqual({ total: 2, ready: 2, silent: [] });
    });

    it('name a proxy that owes an answer for 30 s, and one that has been away as long', () => {
      set(derived(first, 'v1'));
      const [a, b] = [connect('a'), connect('b')];
      for (const peer of [a, b]) {
        subscribe(peer, first);
        peer.ack();
      }
      hub.closed(b.proxy);
      set(derived(first, 'v2'));
      source.publish();
      nowMs += 30_000;
      expect(registry.holders(split)).toEqual({ total: 2, ready: 0, silent: [] });
      nowMs += 1;
      expect(registry.holders(split)).toEqual({ total: 2, ready: 0, silent: ['demo/a', 'demo/b'] });
      a.ack();
      expect(registry.holders(split)).toEqual({ total: 2, ready: 1, silent: ['demo/b'] });
    });

    it('forget a proxy that has been away for ten minutes', () => {
      set(derived(first, 'v1'));
      const peer = connect('a');
      subscribe(peer, first);
      peer.ack();
      hub.closed(peer.proxy);
      nowMs += 600_001;
      hub.sweep();
      expect([registry.holders(split).total, registry.proxies(), topics.size]).toEqual([0, [], 0]);
    });

    it('tell listeners when a proxy becomes silent, without any event of its own', async () => {
      const peer = connect('a');
      hub.sweep();
      await new Promise(setImmediate);
      let told = 0;
      registry.onChange(() => (told += 1));
      hub.sweep();
      await new Promise(setImmediate);
      expect(told).toBe(0);
      nowMs += 30_001;
      hub.sweep();
      await new Promise(setImmediate);
      expect([told, peer.ended]).toEqual([1, []]);
    });
  });
});
