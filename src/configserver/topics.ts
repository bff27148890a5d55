// A topic is a resource as one view (or, for `workload`, one pod) sees it, with the slots of all streams that want it. The source is asked once
// per topic and publish, however many streams share the view.
import type { ObjectKey } from '../kernel/index.ts';
import { type ConfigSource, createOriginIndex, type Resource, type Who, viewKey } from '../model/index.ts';
import type { Slot } from './slot.ts';

export interface Topic {
  readonly key: string;
  readonly name: string;
  /** Who the source is asked for; of a `workload` the view may change under the same pod. */
  who: Who;
  resource: Resource | undefined;
  /** The version before this one, as the base of deltas. */
  previous: Resource | undefined;
  readonly slots: Set<Slot>;
}

export interface Topics {
  /** The topic for a name, made on first use; `join` a slot to it before anything else happens. */
  of(who: Who, name: string): Topic;
  join(topic: Topic, slot: Slot): void;
  /** A topic without slots is forgotten. */
  leave(topic: Topic, slot: Slot): void;
  /** Asks the source again about every topic that the last publish can have changed; answers with those whose version changed. */
  refresh(): readonly Topic[];
  /** Topics whose current resource is derived from the object. */
  derivedFrom(key: ObjectKey): Iterable<Topic>;
  readonly size: number;
}

export function createTopics(source: Pick<ConfigSource, 'resource' | 'changed'>): Topics {
  const topics = new Map<string, Topic>();
  const byObject = createOriginIndex<Topic>();

  function update(topic: Topic): boolean {
    const resource = source.resource(topic.who, topic.name);
    if (resource === topic.resource) return false;
    const changed = resource?.version !== topic.resource?.version;
    // Origins may change under an equal version, for they are no part of it.
    byObject.move(topic, topic.resource, resource);
    if (changed) topic.previous = topic.resource;
    topic.resource = resource;
    return changed;
  }

  return {
    of: (who, name) => {
      const key = `${name === 'workload' ? who.podKey : viewKey(who.view)} ${name}`;
      const known = topics.get(key);
      if (known !== undefined) return known;
      const topic: Topic = { key, name, who, resource: undefined, previous: undefined, slots: new Set() };
      topics.set(key, topic);
      update(topic);
      topic.previous = undefined;
      return topic;
    },
    join: (topic, slot) => void topic.slots.add(slot),
    leave: (topic, slot) => {
      topic.slots.delete(slot);
      if (topic.slots.size > 0) return;
      byObject.move(topic, topic.resource, undefined);
      topics.delete(topic.key);
    },
    refresh: () => {
      const stale: Topic[] = [];
      for (const topic of topics.values())
        if (source.changed(topic.who, topic.name) && update(topic)) stale.push(topic);
      return stale;
    },
    derivedFrom: key => byObject.of(key),
    get size() {
      return topics.size;
    },
  };
}
