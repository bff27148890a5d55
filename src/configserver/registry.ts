// All proxies by pod, and what they hold of an object: the ProxyRegistry that status and operator API read.
import { type ObjectKey, compareText, nameOf } from '../kernel/index.ts';
import type { Holders, ProxyRegistry, ProxyState, Unsubscribe } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { ProxyRecord } from './proxy-record.ts';
import { type Slot, REMOVED, isSettled } from './slot.ts';
import type { Topics } from './topics.ts';

/** A proxy that owes an answer for longer is named and blocks nothing. */
const SILENT_AFTER_MS = 30_000;
/** A proxy that is gone for longer is forgotten even though its pod exists: it may have found another replica. */
const FORGET_AFTER_MS = 600_000;

export interface Registry extends ProxyRegistry {
  readonly records: ReadonlyMap<ObjectKey, ProxyRecord>;
  /** Takes the place of the former record of the pod, which is returned. */
  put(record: ProxyRecord): ProxyRecord | undefined;
  delete(record: ProxyRecord): void;
  /** Something that holders() or proxies() tell has changed; listeners hear of it once per turn of the event loop. */
  touch(): void;
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
  let silentBefore = '';
  let told = true;

  function touch(): void {
    if (!told) return;
    told = false;
    setImmediate(() => {
      told = true;
      for (const listener of listeners) listener();
    });
  }

  function holders(key: ObjectKey): Holders {
    const nowMs = clock.nowMs();
    const settled = new Map<ProxyRecord, boolean>();
    const tooLarge = new Set<string>();
    for (const topic of topics.derivedFrom(key)) {
      for (const slot of topic.slots) {
        if (slot.oversize !== undefined) tooLarge.add(slot.oversize);
        if (!isReady(slot.proxy)) continue;
        settled.set(slot.proxy, (settled.get(slot.proxy) ?? true) && isSettled(slot));
      }
    }
    let ready = 0;
    const silent: string[] = [];
    for (const [proxy, isUpToDate] of settled) {
      if (isGone(proxy, nowMs) || (!isUpToDate && isSilent(proxy, nowMs))) silent.push(displayName(proxy));
      else if (isUpToDate) ready += 1;
    }
    const counted = { total: settled.size, ready, silent: silent.toSorted(compareText) };
    return tooLarge.size === 0 ? counted : { ...counted, tooLarge: [...tooLarge].toSorted(compareText) };
  }

  function sweep(): readonly ProxyRecord[] {
    const nowMs = clock.nowMs();
    const all = [...records.values()];
    const silent = all
      .filter(proxy => isSilent(proxy, nowMs))
      .map(displayName)
      .join();
    if (silent !== silentBefore) touch();
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
      touch();
      return former;
    },
    delete: record => {
      if (records.get(record.who.podKey) === record) records.delete(record.who.podKey);
      touch();
    },
    touch,
    sweep,
    holders,
    proxies: () => {
      const nowMs = clock.nowMs();
      return [...records.values()].map(record => stateOf(record, nowMs));
    },
    onChange: (listener): Unsubscribe => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
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

function displayName(proxy: ProxyRecord): string {
  const { namespace, name } = nameOf(proxy.who.podKey);
  return `${namespace}/${name}`;
}

function stateOf(proxy: ProxyRecord, nowMs: number): ProxyState {
  const { who, podUid, proxyVersion, connectedAtMs, lastHeardMs, leaf } = proxy;
  const resources = [...proxy.slots.values()].map(heldOf).toSorted((left, right) => compareText(left.name, right.name));
  return { who, podUid, proxyVersion, connectedAtMs, lastHeardMs, silent: isSilent(proxy, nowMs), resources, leaf };
}

function heldOf(slot: Slot): ProxyState['resources'][number] {
  return {
    name: slot.topic.name,
    ackedVersion: slot.acked ?? '',
    sentVersion: slot.told ?? '',
    nackReason: slot.oversize ?? (slot.nack?.version === slot.told ? slot.nack?.reason : undefined),
  };
}
