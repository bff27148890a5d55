import { beforeEach, describe, expect, it } from 'vitest';
import { type ObjectKey, objectKey } from '../kernel/index.ts';
import { countHoldings } from '../model/index.ts';
import { aHub } from './testing/hub.ts';
import { aResource } from './testing/source.ts';

describe('holders of an object', () => {
  let { source, hub, registry, topics, clock, set, connect } = aHub();

  beforeEach(() => {
    ({ source, hub, registry, topics, clock, set, connect } = aHub());
  });

  const split: ObjectKey = objectKey({
    group: 'split.smi-spec.io',
    kind: 'TrafficSplit',
    namespace: 'demo',
    name: 'web',
  });
  const [first, second] = ['outbound/10.0.0.1:80', 'outbound/10.0.0.2:80'];
  const holders = () => countHoldings(registry.holdings(split));
  const derived = (name: string, text: string) => aResource(name, text, [split]);

  it('count ready proxies that hold something derived from the object, once each', () => {
    set(derived(first, 'v1'), derived(second, 'v1'));
    const [a, b] = [connect('a'), connect('b')];
    connect('c').ack();
    a.subscribe(first, second);
    b.subscribe(first);
    // Nothing is acknowledged: none of them is ready at all.
    expect(holders()).toEqual({ total: 0, ready: 0, silent: [] });
    a.ack();
    b.ack();
    expect(holders()).toEqual({ total: 2, ready: 2, silent: [] });
    set(derived(second, 'v2'));
    source.publish();
    expect(holders()).toEqual({ total: 2, ready: 1, silent: [] });
    a.ack();
    expect(holders()).toEqual({ total: 2, ready: 2, silent: [] });
  });

  it('name a proxy that owes an answer for 30 s, and one that has been away as long', () => {
    set(derived(first, 'v1'));
    const [a, b] = [connect('a'), connect('b')];
    for (const peer of [a, b]) {
      peer.subscribe(first);
      peer.ack();
    }
    hub.closed(b.proxy);
    set(derived(first, 'v2'));
    source.publish();
    clock.now += 30_000;
    expect(holders()).toEqual({ total: 2, ready: 0, silent: [] });
    clock.now += 1;
    expect(holders()).toEqual({ total: 2, ready: 0, silent: ['demo/a', 'demo/b'] });
    a.ack();
    expect(holders()).toEqual({ total: 2, ready: 1, silent: ['demo/b'] });
  });

  it('forget a proxy that has been away for ten minutes', () => {
    set(derived(first, 'v1'));
    const peer = connect('a');
    peer.subscribe(first);
    peer.ack();
    hub.closed(peer.proxy);
    clock.now += 600_001;
    hub.sweep();
    expect([holders().total, registry.proxies(), topics.size]).toEqual([0, [], 0]);
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
    clock.now += 30_001;
    hub.sweep();
    await new Promise(setImmediate);
    expect([told, peer.ended]).toEqual([1, []]);
  });
});
