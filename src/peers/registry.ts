// All proxies of all replicas as one registry. A proxy that two replicas know counts once: where it is connected, and of two connections the newer.
import type { ObjectKey } from '../kernel/index.ts';
import {
  countHoldings,
  type Holding,
  type MissingReplica,
  type OwnProxies,
  type ProxyRegistry,
  type ProxyState,
  type Sighting,
  type Unsubscribe,
} from '../model/index.ts';
import type { HolderIndex } from './holder-index.ts';
import type { Mirror, RemoteProxy } from './mirror.ts';

export interface CombinedRegistryOptions {
  readonly own: OwnProxies;
  readonly mirrors: () => Iterable<Mirror>;
  readonly mirrorOf: (replica: string) => Mirror | undefined;
  readonly index: Pick<HolderIndex, 'holding'>;
  readonly missing: () => readonly MissingReplica[];
  /** For what the mirrors change. */
  readonly onMirror: (listener: () => void) => Unsubscribe;
}

export function createCombinedRegistry(options: CombinedRegistryOptions): ProxyRegistry {
  const { own, mirrors, mirrorOf, index } = options;

  /** The replica where the proxy of the pod is, or was last. */
  function whereabouts(podKey: ObjectKey): string | undefined {
    let found = own.sighting(podKey);
    for (const mirror of mirrors()) found = later(found, mirror.sighting(podKey));
    return found?.replica;
  }

  function holdings(key: ObjectKey): ReadonlyMap<ObjectKey, Holding> {
    const found = new Map<ObjectKey, Holding>();
    for (const [podKey, holding] of own.holdings(key)) {
      if (whereabouts(podKey) === '') found.set(podKey, holding);
    }
    for (const [proxy, isUpToDate] of index.holding(key)) {
      const { podKey } = proxy.who;
      if (whereabouts(podKey) === proxy.replica) found.set(podKey, holdingOf(proxy, isUpToDate));
    }
    return found;
  }

  function holdingOf(proxy: RemoteProxy, isUpToDate: boolean): Holding {
    const { connected, silent } = mirrorOf(proxy.replica)?.stateOf(proxy) ?? proxy;
    if (silent && !(connected && isUpToDate)) return 'silent';
    return isUpToDate ? 'ready' : 'behind';
  }

  return {
    holders: key => {
      const counted = countHoldings(holdings(key));
      // Of resources that only other replicas send, the proxies there tell it as their reason of refusal.
      const tooLarge = own.tooLarge(key);
      return tooLarge.length === 0 ? counted : { ...counted, tooLarge };
    },
    proxies: () => {
      const all = new Map<ObjectKey, ProxyState>();
      const take = (proxy: ProxyState): void => {
        const { podKey } = proxy.who;
        all.set(podKey, later(all.get(podKey), proxy) ?? proxy);
      };
      for (const proxy of own.proxies()) take(proxy);
      for (const mirror of mirrors()) for (const proxy of mirror.proxies()) take(mirror.stateOf(proxy));
      return [...all.values()];
    },
    missing: options.missing,
    onChange: listener => {
      const subscriptions = [own.onChange(listener), options.onMirror(listener)];
      return () => {
        for (const unsubscribe of subscriptions) unsubscribe();
      };
    },
  };
}

function later<T extends Sighting>(left: T | undefined, right: T | undefined): T | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  if (left.connected !== right.connected) return left.connected ? left : right;
  return right.connectedAtMs > left.connectedAtMs ? right : left;
}
