// Which proxies of other replicas hold something that is derived from an object, and whether it is what this replica has compiled. Compilation is
// deterministic, so versions of all replicas can be compared.
//
// Only the replica that writes asks all the time, so the index is made when it is first asked for, and dropped when nobody has asked for a while: what
// it has rendered for views that only other replicas serve goes with it.
import type { ObjectKey } from '../kernel/index.ts';
import {
  type ConfigSource,
  createOriginIndex,
  type HeldResource,
  type Resource,
  viewKey,
  type Who,
} from '../model/index.ts';
import type { RemoteProxy } from './mirror.ts';

const IDLE_MS = 60_000;

export interface HolderIndex {
  put(proxy: RemoteProxy, former: RemoteProxy | undefined): void;
  delete(proxy: RemoteProxy): void;
  /** A new generation is in place. */
  refresh(): void;
  /** Proxies that hold something derived from the object; true: all of it as compiled. */
  holding(key: ObjectKey): ReadonlyMap<RemoteProxy, boolean>;
}

export interface HolderIndexOptions {
  readonly source: Pick<ConfigSource, 'resource' | 'changed'>;
  /** All proxies of other replicas. */
  readonly proxies: () => Iterable<RemoteProxy>;
  readonly nowMs: () => number;
}

/** Proxies that see the same resources: those of a view, and for `workload` those of a pod. */
interface Group {
  readonly who: Who;
  readonly members: Set<RemoteProxy>;
  readonly topics: Map<string, Topic>;
}

interface Topic {
  readonly group: Group;
  readonly name: string;
  /** How many of the group hold it. */
  holders: number;
  resource: Resource | undefined;
}

export function createHolderIndex({ source, proxies, nowMs }: HolderIndexOptions): HolderIndex {
  const groups = new Map<string, Group>();
  const byObject = createOriginIndex<Topic>();
  let active = false;
  let askedAtMs = 0;

  function update(topic: Topic): void {
    const resource = source.resource(topic.group.who, topic.name);
    if (resource === topic.resource) return;
    byObject.move(topic, topic.resource, resource);
    topic.resource = resource;
  }

  function groupOf(who: Who, name: string): Group {
    const key = groupKey(who, name);
    const known = groups.get(key);
    if (known !== undefined) return known;
    const group: Group = { who, members: new Set(), topics: new Map() };
    groups.set(key, group);
    return group;
  }

  function join(proxy: RemoteProxy): void {
    for (const { name } of proxy.resources) {
      const group = groupOf(proxy.who, name);
      group.members.add(proxy);
      const topic = group.topics.get(name);
      if (topic !== undefined) {
        topic.holders += 1;
        continue;
      }
      const made: Topic = { group, name, holders: 1, resource: undefined };
      group.topics.set(name, made);
      update(made);
    }
  }

  function leave(proxy: RemoteProxy): void {
    for (const { name } of proxy.resources) {
      const key = groupKey(proxy.who, name);
      const group = groups.get(key);
      const topic = group?.topics.get(name);
      if (group === undefined || topic === undefined) continue;
      group.members.delete(proxy);
      topic.holders -= 1;
      if (topic.holders > 0) continue;
      byObject.move(topic, topic.resource, undefined);
      group.topics.delete(name);
      if (group.topics.size === 0) groups.delete(key);
    }
  }

  function activate(): void {
    askedAtMs = nowMs();
    if (active) return;
    active = true;
    for (const proxy of proxies()) join(proxy);
  }

  return {
    put: (proxy, former) => {
      if (!active) return;
      // First the new state: what both hold need not be rendered again.
      join(proxy);
      if (former !== undefined) leave(former);
    },
    delete: proxy => {
      if (active) leave(proxy);
    },
    refresh: () => {
      if (!active) return;
      if (nowMs() - askedAtMs > IDLE_MS) {
        active = false;
        groups.clear();
        byObject.clear();
        return;
      }
      for (const { who, topics } of groups.values()) {
        for (const topic of topics.values()) if (source.changed(who, topic.name)) update(topic);
      }
    },
    holding: key => {
      activate();
      const found = new Map<RemoteProxy, boolean>();
      for (const { group, name, resource } of byObject.of(key)) {
        for (const proxy of group.members) {
          const held = heldBy(proxy, name);
          if (held === undefined || !isReady(proxy)) continue;
          found.set(proxy, (found.get(proxy) ?? true) && held.ackedVersion === resource?.version);
        }
      }
      return found;
    },
  };
}

function groupKey(who: Who, name: string): string {
  return name === 'workload' ? who.podKey : viewKey(who.view);
}

/** Resources are told in the order of their names. */
function heldBy({ resources }: RemoteProxy, name: string): HeldResource | undefined {
  let [low, high] = [0, resources.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = resources[middle];
    if (found === undefined || found.name === name) return found;
    if (found.name < name) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** As for our own: who has never acknowledged its workload enforces nothing that could be behind. */
function isReady(proxy: RemoteProxy): boolean {
  return (heldBy(proxy, 'workload')?.ackedVersion ?? '') !== '';
}
