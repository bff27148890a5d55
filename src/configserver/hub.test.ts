import { beforeEach, describe, expect, it } from 'vitest';
import { AppError, podKey } from '../kernel/index.ts';
import { aHub } from './testing/hub.ts';
import { aResource, aWho, anOutbound, someEndpoints } from './testing/source.ts';

describe('the hub', () => {
  let { source, hub, registry, topics, metrics, clock, set, connect } = aHub();

  beforeEach(() => {
    ({ source, hub, registry, topics, metrics, clock, set, connect } = aHub());
  });

  it('sends workload and trust unasked, and answers a subscription to what is not there with a removal', () => {
    const peer = connect('a');
    peer.subscribe('outbound/10.0.0.9:80');
    expect(peer.names()).toEqual(['workload', 'trust', '-outbound/10.0.0.9:80']);
  });

  it('encodes once and writes the very same bytes to every stream of a view, and asks the source once', () => {
    set(aResource('outbound/10.0.0.1:80', 'v1'));
    const peers = ['a', 'b', 'c'].map(pod => connect(pod));
    for (const peer of peers) peer.subscribe('outbound/10.0.0.1:80');
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
    near.subscribe('outbound/10.0.0.1:80');
    far.subscribe('outbound/10.0.0.1:80');
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
    peer.subscribe(outbound, old, next);
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
    peer.subscribe(name);
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
    expect(peer.state(name)?.sentVersion).toBe(source.resources.get(name)?.version);
    expect(peer.proxy.inFlightBytes).toBe(0);
  });

  it('a refused version is recorded, is not sent again, and its successor is', () => {
    const name = 'outbound/10.0.0.1:80';
    set(aResource(name, 'v1'));
    const peer = connect('a');
    peer.subscribe(name);
    peer.ack();
    set(aResource(name, 'v2'));
    source.publish();
    const refused = peer.got.at(-1);
    hub.receive(peer.proxy, { kind: 'nack', nonce: refused?.nonce ?? 0n, resource: name, reason: 'bad regex' });
    const version = source.resources.get(name)?.version;
    expect(peer.state(name)).toEqual({
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
    expect(peer.state(name)).toMatchObject({ ackedVersion: aResource(name, 'v3').version, nackReason: undefined });
    expect(metrics.value('weft_config_answers_total', { result: 'nack' })).toBe(1);
  });

  it('sends a delta where the base fits, the whole where it does not, and the whole after a nack "base"', () => {
    const name = 'endpoints/demo/web:80';
    const addresses = (count: number, from = 0) =>
      Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${from + index}` }));
    set(someEndpoints(name, addresses(10)));
    const peer = connect('a');
    peer.subscribe(name);
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
    late.subscribe(name);
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
    expect(peer.state(name)?.nackReason).toBeUndefined();
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
    expect(peer.state(same)?.ackedVersion).toBe(aResource(same, 'v1').version);
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
    peer.subscribe(name);
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
    peer.subscribe(name);
    hub.receive(peer.proxy, { kind: 'unsubscribe', names: [name, 'trust'] });
    set(aResource(name, 'v2'), aResource('trust', 't2'));
    source.publish();
    expect(peer.names()).toEqual(['workload', 'trust', name, 'trust']);
  });

  it('too many or impossible names end the stream', () => {
    const [many, empty] = [connect('a'), connect('b')];
    many.subscribe(...Array.from({ length: 25_001 }, (_, index) => `outbound/10.0.0.1:${index}`));
    empty.subscribe('');
    expect([many.ended, empty.ended]).toMatchObject([[{ code: 'resource-exhausted' }], [{ code: 'invalid-argument' }]]);
  });

  it('sends away the proxies that came first and owe nothing, so many as are asked for', () => {
    const [a, b, c, owing] = ['a', 'b', 'c', 'owing'].map(pod => {
      clock.now += 1;
      return connect(pod);
    });
    for (const peer of [a, b, c]) peer?.ack();
    const away = new AppError('unavailable', 'elsewhere');
    expect(hub.shed(2, away)).toBe(2);
    expect([a, b, c, owing].map(peer => peer?.ended.length)).toEqual([1, 1, 0, 0]);
    expect(registry.connected()).toBe(2);
    expect(hub.shed(5, away)).toBe(1);
    expect(owing?.ended).toEqual([]);
  });

  it('tells which proxy has changed: one that answers, that is sent something, or that goes', () => {
    const [a, b] = [connect('a'), connect('b')];
    const changed: string[] = [];
    registry.onProxy(podKey => changed.push(podKey));
    a.ack();
    expect(new Set(changed.splice(0))).toEqual(new Set([podKey('demo', 'a')]));
    set(aResource('trust', 't2'));
    source.publish();
    expect(new Set(changed.splice(0))).toEqual(new Set([podKey('demo', 'a'), podKey('demo', 'b')]));
    hub.closed(b.proxy);
    expect(changed.splice(0)).toEqual([podKey('demo', 'b')]);
    expect(registry.state(podKey('demo', 'b'))).toMatchObject({ connected: false });
    source.publish();
    expect(changed).toEqual([]);
  });
});
