// All proxies by pod, and what they hold of an object: what this replica tells the others, and its own part of what status and operator API read.
import { type ObjectKey, compareText, sortedUnique } from '../kernel/index.ts';
import {
  type Holding,
  type OwnProxies,
  type ProxyState,
  SILENT_AFTER_MS,
  type Sighting,
  type Unsubscribe,
} from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { ProxyRecord } from './proxy-record.ts';
import { type Slot, REMOVED, isSettled } from './slot.ts';
import type { Topics } from './topics.ts';

/** A proxy that is gone for longer is forgotten even though its pod exists: it may have found another replica. */
const FORGET_AFTER_MS = 600_000;

export interface Registry extends OwnProxies {
  readonly records: ReadonlyMap<ObjectKey, ProxyRecord>;
  /** Takes the place of the former record of the pod, which is returned. */
  put(record: ProxyRecord): ProxyRecord | undefined;
  delete(record: ProxyRecord): void;
  /** Something that is told here has changed, of one proxy or of what all of them should hold. */
  touch(record?: ProxyRecord): void;
  /** Tells listeners when a proxy has become silent since the last sweep; answers with those that must be forgotten. */
  sweep(): readonly ProxyRecord[];
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly topics: Pick<Topics, 'derivedFrom'>;
}

export function createRegistry({ clock, topics }: RegistryOptions): Registry {
  const records = new Map<ObjectKey, ProxyRecord>();
  const listeners = new Set<() => void>();
  const proxyListeners = new Set<(podKey: ObjectKey) => void>();
  let silentBefore: ReadonlySet<ProxyRecord> = new Set();
  let told = true;

  function touch(record?: ProxyRecord): void {
    if (record !== undefined) for (const listener of proxyListeners) listener(record.who.podKey);
    if (!told) return;
    told = false;
    setImmediate(() => {
      told = true;
      for (const listener of listeners) listener();
    });
  }

  function holdings(key: ObjectKey): ReadonlyMap<ObjectKey, Holding> {
    const nowMs = clock.nowMs();
    const settled = new Map<ProxyRecord, boolean>();
    for (const topic of topics.derivedFrom(key)) {
      for (const slot of topic.slots) {
        if (!isReady(slot.proxy)) continue;
        settled.set(slot.proxy, (settled.get(slot.proxy) ?? true) && isSettled(slot));
      }
    }
    return new Map(
      Array.from(settled, ([proxy, isUpToDate]) => [proxy.who.podKey, holdingOf(proxy, isUpToDate, nowMs)]),
    );
  }

  function tooLarge(key: ObjectKey): readonly string[] {
    const slots = [...topics.derivedFrom(key)].flatMap(topic => [...topic.slots]);
    return sortedUnique(slots.flatMap(({ oversize }) => oversize ?? []));
  }

  function sweep(): readonly ProxyRecord[] {
    const nowMs = clock.nowMs();
    const all = [...records.values()];
    const silent = new Set(all.filter(proxy => isSilent(proxy, nowMs)));
    for (const proxy of all) if (silent.has(proxy) !== silentBefore.has(proxy)) touch(proxy);
    silentBefore = silent;
    return all.filter(
      ({ disconnectedAtMs }) => disconnectedAtMs !== undefined && nowMs - disconnectedAtMs > FORGET_AFTER_MS,
    );
  }

  return {
    records,
    put: record => {
      const former = records.get(record.who.podKey);
      records.set(record.who.podKey, record);
      touch(record);
      return former;
    },
    delete: record => {
      if (records.get(record.who.podKey) === record) records.delete(record.who.podKey);
      touch(record);
    },
    touch,
    sweep,
    holdings,
    tooLarge,
    state: podKey => {
      const record = records.get(podKey);
      return record === undefined ? undefined : stateOf(record, clock.nowMs());
    },
    connected: () => [...records.values()].filter(({ transport }) => transport !== undefined).length,
    sighting: podKey => {
      const record = records.get(podKey);
      return record === undefined ? undefined : sightingOf(record);
    },
    proxies: () => {
      const nowMs = clock.nowMs();
      return [...records.values()].map(record => stateOf(record, nowMs));
    },
    onChange: (listener): Unsubscribe => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onProxy: (listener): Unsubscribe => {
      proxyListeners.add(listener);
      return () => void proxyListeners.delete(listener);
    },
  };
}

/** A proxy that has never acknowledged its workload admits nobody yet: it enforces nothing that could be behind. */
function isReady(proxy: ProxyRecord): boolean {
  const acked = proxy.slots.get('workload')?.acked;
  return acked !== undefined && acked !== REMOVED;
}

function isGone(proxy: ProxyRecord, nowMs: number): boolean {
  return proxy.disconnectedAtMs !== undefined && nowMs - proxy.disconnectedAtMs > SILENT_AFTER_MS;
}

function isSilent(proxy: ProxyRecord, nowMs: number): boolean {
  if (isGone(proxy, nowMs)) return true;
  if (proxy.blockedSinceMs !== undefined && nowMs - proxy.blockedSinceMs > SILENT_AFTER_MS) return true;
  for (const { sentAtMs } of proxy.unanswered.values()) return nowMs - sentAtMs > SILENT_AFTER_MS;
  return false;
}

function holdingOf(proxy: ProxyRecord, isUpToDate: boolean, nowMs: number): Holding {
  if (isGone(proxy, nowMs) || (!isUpToDate && isSilent(proxy, nowMs))) return 'silent';
  return isUpToDate ? 'ready' : 'behind';
}

function sightingOf({ transport, connectedAtMs }: ProxyRecord): Sighting {
  return { replica: '', connected: transport !== undefined, connectedAtMs };
}

function stateOf(proxy: ProxyRecord, nowMs: number): ProxyState {
  const { who, proxyVersion, lastHeardMs, leaf } = proxy;
  const silent = isSilent(proxy, nowMs);
  const resources = [...proxy.slots.values()].map(heldOf).toSorted((left, right) => compareText(left.name, right.name));
  return { ...sightingOf(proxy), who, proxyVersion, lastHeardMs, silent, resources, leaf };
}

function heldOf(slot: Slot): ProxyState['resources'][number] {
  return {
    name: slot.topic.name,
    ackedVersion: slot.acked ?? '',
    sentVersion: slot.told ?? '',
    nackReason: slot.oversize ?? (slot.nack?.version === slot.told ? slot.nack?.reason : undefined),
  };
}
