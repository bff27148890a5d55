import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Peer, aHub } from './testing/hub.ts';
import { anOutbound, someEndpoints } from './testing/source.ts';

// Whatever happens on the way (slow readers, refusals, lost streams, deltas on a wrong base): once everything that was sent is worked off, a proxy
// holds what is compiled.

const NAMES = ['outbound/10.0.0.1:80', 'outbound/10.0.0.2:80', 'endpoints/demo/a:80', 'endpoints/demo/b:80'] as const;
const name = fc.constantFrom(...NAMES);

const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), name, value: fc.nat(20) }),
  fc.record({ do: fc.constant('delete' as const), name }),
  fc.record({ do: fc.constant('publish' as const) }),
  fc.record({ do: fc.constant('subscribe' as const), name }),
  fc.record({ do: fc.constant('unsubscribe' as const), name }),
  fc.record({ do: fc.constant('release' as const), count: fc.nat(5) }),
  fc.record({ do: fc.constant('answer' as const) }),
  fc.record({ do: fc.constant('refuse' as const) }),
  fc.record({ do: fc.constant('reconnect' as const) }),
);

/** A proxy's side: what it holds by name, and how far it has read. */
function aProxy(hub: ReturnType<typeof aHub>) {
  const held = new Map<string, string>();
  const subscribed = new Set<string>();
  let read = 0;
  let peer: Peer = hub.connect('a', { slow: true });

  function work(refuse: boolean): void {
    for (const message of peer.got.slice(read)) {
      read += 1;
      if (message.kind === 'remove') held.delete(message.name);
      else if (message.kind === 'delta' && held.get(message.name) !== message.delta.baseVersion) {
        hub.hub.receive(peer.proxy, { kind: 'nack', nonce: message.nonce, resource: message.name, reason: 'base' });
        continue;
      } else if (refuse && message.name.includes('/')) {
        hub.hub.receive(peer.proxy, { kind: 'nack', nonce: message.nonce, resource: message.name, reason: 'bad' });
        continue;
      } else held.set(message.name, message.version);
      hub.hub.receive(peer.proxy, { kind: 'ack', nonce: message.nonce });
    }
  }

  return {
    held,
    subscribed,
    work,
    peer: () => peer,
    release: (count: number) => {
      for (let index = 0; index < count; index += 1) peer.stuck.shift()?.();
    },
    reconnect: () => {
      hub.hub.closed(peer.proxy);
      peer = hub.connect('a', { slow: true, held: [...held].map(([of, version]) => ({ name: of, version })) });
      read = 0;
      peer.subscribe(...subscribed);
    },
  };
}

function resourceOf(of: string, value: number) {
  if (of.startsWith('outbound/'))
    return anOutbound(of, `v${value}`, [value % 2 === 0 ? 'endpoints/demo/a:80' : 'endpoints/demo/b:80']);
  return someEndpoints(
    of,
    Array.from({ length: value + 2 }, (_, index) => ({ address: `10.0.1.${index}` })),
  );
}

it('every proxy ends up with what is compiled, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const hub = aHub();
      const proxy = aProxy(hub);
      for (const action of steps) {
        switch (action.do) {
          case 'set':
            hub.set(resourceOf(action.name, action.value));
            break;
          case 'delete':
            hub.source.resources.delete(action.name);
            break;
          case 'publish':
            hub.source.publish();
            break;
          case 'subscribe':
            proxy.subscribed.add(action.name);
            proxy.peer().subscribe(action.name);
            break;
          case 'unsubscribe':
            proxy.subscribed.delete(action.name);
            proxy.held.delete(action.name);
            hub.hub.receive(proxy.peer().proxy, { kind: 'unsubscribe', names: [action.name] });
            break;
          case 'release':
            proxy.release(action.count);
            break;
          case 'answer':
            proxy.work(false);
            break;
          case 'refuse':
            proxy.work(true);
            break;
          case 'reconnect':
            proxy.reconnect();
            break;
        }
      }
      // Refused versions stay refused; what everybody accepts follows.
      hub.set(...NAMES.map(of => resourceOf(of, 30)));
      hub.source.publish();
      while (proxy.peer().stuck.length > 0) {
        proxy.release(1);
        proxy.work(false);
      }
      proxy.work(false);
      const want = ['workload', 'trust', ...proxy.subscribed].flatMap(of => {
        const version = hub.source.resources.get(of)?.version;
        return version === undefined ? [] : [[of, version]];
      });
      const got = ['workload', 'trust', ...proxy.subscribed].flatMap(of =>
        proxy.held.has(of) ? [[of, proxy.held.get(of)]] : [],
      );
      expect(got).toEqual(want);
      const behind = hub.registry
        .proxies()
        .flatMap(({ resources }) => resources.filter(of => of.ackedVersion !== of.sentVersion));
      expect(behind).toEqual([]);
      expect(proxy.peer().proxy.unanswered.size).toBe(0);
    }),
    { numRuns: 500 },
  );
});
