// The state of all streams and every event that moves it: a stream that opens or ends, a message from a client, a publish. Knows no gRPC and no
// socket; what a stream is written to is a Transport.
import { AppError } from '../kernel/index.ts';
import { type ConfigSource, type Who, viewKey } from '../model/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import type { ClientMessage } from '../wire/index.ts';
import type { Frames } from './frames.ts';
import type { HubMetrics } from './metrics.ts';
import { type ProxyRecord, type PumpOptions, type Transport, mark, newProxyRecord, pump } from './proxy-record.ts';
import type { Registry } from './registry.ts';
import { dequeue } from './send-order.ts';
import { type Slot, newSlot } from './slot.ts';
import type { Topics } from './topics.ts';

/** A proxy may hold 10,000 outbound resources and the endpoints behind them. */
const MAX_NAMES = 25_000;
const MAX_NAME_LENGTH = 512;
const IMPLICIT = ['workload', 'trust'] as const;
/** The reason with which a proxy says that it does not hold the base of a delta. */
const NACK_BASE = 'base';

export type Hello = Extract<ClientMessage, { kind: 'hello' }>;

export interface HubOptions {
  readonly source: Pick<ConfigSource, 'view'>;
  readonly topics: Topics;
  readonly registry: Registry;
  readonly frames: Frames;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: HubMetrics;
  /** Bytes that may be under way to one client. */
  readonly windowBytes: number;
}

export interface Opening {
  readonly who: Who;
  readonly hello: Hello;
  readonly transport: Transport;
}

export interface Hub {
  open(opening: Opening): ProxyRecord;
  /** Anything but a hello. A client that breaks the protocol loses its stream. */
  receive(proxy: ProxyRecord, message: Exclude<ClientMessage, Hello>): void;
  /** The stream has ended, for whatever reason; again does nothing. */
  closed(proxy: ProxyRecord): void;
  /** A new generation is in place. */
  publish(): void;
  /** Ends all streams, e.g. before the process goes. */
  endAll(error: AppError): void;
  /** Ends so many streams, so that their proxies connect anew, elsewhere if they may; answers with how many it ended. */
  shed(count: number, error: AppError): number;
  /** To be called every few seconds. */
  sweep(): void;
}

export function createHub(options: HubOptions): Hub {
  const { topics, registry, frames, clock, log, metrics } = options;
  const nowMs = (): number => clock.nowMs();
  const pumping: PumpOptions = {
    frames,
    windowBytes: options.windowBytes,
    nowMs,
    onOversize: ({ proxy, topic, oversize }) => {
      metrics.oversize();
      log.warn('resource too large to be sent', {
        peer: proxy.who.podKey,
        resource: topic.name,
        configVersion: topic.resource?.version,
        reason: oversize,
      });
      registry.touch(proxy);
    },
    onSent: (slot, frame) => {
      metrics.sent(slot.topic.resource?.body.kind ?? 'remove', frame);
      registry.touch(slot.proxy);
    },
  };

  function subscribe(proxy: ProxyRecord, name: string, held?: string): void {
    if (proxy.slots.has(name)) return;
    const topic = topics.of(proxy.who, name);
    const slot = newSlot(proxy, topic, held);
    topics.join(topic, slot);
    proxy.slots.set(name, slot);
    mark(slot);
  }

  function drop(slot: Slot): void {
    const { proxy } = slot;
    topics.leave(slot.topic, slot);
    dequeue(proxy.waiting, slot);
    if (slot.nonce !== undefined) proxy.unanswered.delete(slot.nonce);
    proxy.slots.delete(slot.topic.name);
  }

  function forget(proxy: ProxyRecord): void {
    // A Map may lose entries while it is walked.
    for (const slot of proxy.slots.values()) drop(slot);
    registry.delete(proxy);
  }

  function end(proxy: ProxyRecord, error: AppError): void {
    const { transport } = proxy;
    closed(proxy);
    transport?.end(error);
  }

  function closed(proxy: ProxyRecord): void {
    if (proxy.transport === undefined) return;
    proxy.transport = undefined;
    proxy.disconnectedAtMs = nowMs();
    metrics.streams(-1);
    registry.touch(proxy);
  }

  function open({ who, hello, transport }: Opening): ProxyRecord {
    const proxy = newProxyRecord({ who, proxyVersion: hello.proxyVersion, transport, nowMs: nowMs() });
    metrics.streams(1);
    const former = registry.put(proxy);
    if (former !== undefined) {
      end(former, new AppError('aborted', 'the pod has opened a newer stream'));
      forget(former);
    }
    const held = new Map(hello.held.map(({ name, version }) => [name, version]));
    for (const name of new Set([...IMPLICIT, ...held.keys()])) subscribe(proxy, name, held.get(name));
    pump(proxy, pumping);
    return proxy;
  }

  function answer(proxy: ProxyRecord, nonce: bigint, nackReason: string | undefined): void {
    const answered = proxy.unanswered.get(nonce);
    if (answered === undefined) return;
    proxy.unanswered.delete(nonce);
    const { slot, version } = answered;
    slot.nonce = undefined;
    metrics.answered(nackReason === undefined ? 'ack' : 'nack', (nowMs() - answered.sentAtMs) / 1_000);
    if (nackReason === undefined) {
      slot.acked = version;
      slot.nack = undefined;
    } else if (nackReason === NACK_BASE && answered.delta) {
      slot.whole = true;
      slot.told = undefined;
      mark(slot);
    } else {
      slot.nack = { version, reason: nackReason };
      log.warn('resource refused by a proxy', {
        peer: proxy.who.podKey,
        resource: slot.topic.name,
        configVersion: version,
        reason: nackReason,
      });
    }
    registry.touch(proxy);
  }

  function receive(proxy: ProxyRecord, message: Exclude<ClientMessage, Hello>): void {
    if (proxy.transport === undefined) return;
    proxy.lastHeardMs = nowMs();
    switch (message.kind) {
      case 'subscribe': {
        const fault = namesFault(message.names, proxy.slots.size);
        if (fault !== undefined) return end(proxy, fault);
        for (const name of message.names) subscribe(proxy, name);
        break;
      }
      case 'unsubscribe':
        for (const name of message.names) {
          const slot = IMPLICIT.some(implicit => implicit === name) ? undefined : proxy.slots.get(name);
          if (slot !== undefined) drop(slot);
        }
        registry.touch(proxy);
        break;
      case 'ack':
        answer(proxy, message.nonce, undefined);
        break;
      case 'nack':
        answer(proxy, message.nonce, message.reason.slice(0, 1_024));
        break;
      case 'leaf':
        proxy.leaf = {
          generation: message.generation.slice(0, MAX_NAME_LENGTH),
          notAfterMs: message.notAfterMs,
          skewMs: message.clockMs - nowMs(),
        };
        registry.touch(proxy);
        break;
    }
    pump(proxy, pumping);
  }

  /** The pod's place in the cluster may have changed: other view, other topics. True: something may have to be sent. */
  function follow(proxy: ProxyRecord, who: Who): boolean {
    if (who === proxy.who) return false;
    const moved = viewKey(who.view) !== viewKey(proxy.who.view);
    proxy.who = who;
    if (!moved) return false;
    registry.touch(proxy);
    for (const slot of proxy.slots.values()) {
      const topic = topics.of(who, slot.topic.name);
      if (topic === slot.topic) {
        topic.who = who;
        continue;
      }
      topics.join(topic, slot);
      topics.leave(slot.topic, slot);
      slot.topic = topic;
      mark(slot);
    }
    return true;
  }

  function publish(): void {
    const marked = new Set<ProxyRecord>();
    for (const proxy of registry.records.values()) {
      const who = options.source.view(proxy.who.podKey);
      if (who?.podUid === proxy.who.podUid && who.view.mesh === proxy.who.view.mesh) {
        if (follow(proxy, who)) marked.add(proxy);
        continue;
      }
      end(proxy, new AppError('permission-denied', 'the pod is no longer part of this mesh'));
      forget(proxy);
    }
    // First all marks, then all writes: a stream sees the whole of a change before it chooses what to send first.
    for (const topic of topics.refresh()) {
      for (const slot of topic.slots) {
        mark(slot);
        marked.add(slot.proxy);
      }
    }
    for (const proxy of marked) pump(proxy, pumping);
    registry.touch();
  }

  return {
    open,
    receive,
    closed,
    publish,
    endAll: error => {
      for (const proxy of registry.records.values()) end(proxy, error);
    },
    shed: (count, error) => {
      // The oldest first: who has just come would only be sent round in circles. Who owes an answer is left in peace.
      const idle = [...registry.records.values()].filter(
        ({ transport, unanswered }) => transport !== undefined && unanswered.size === 0,
      );
      const chosen = idle.toSorted((left, right) => left.connectedAtMs - right.connectedAtMs).slice(0, count);
      for (const proxy of chosen) end(proxy, error);
      return chosen.length;
    },
    sweep: () => {
      for (const proxy of registry.sweep()) forget(proxy);
    },
  };
}

/** Undefined: the names may be subscribed to. */
export function namesFault(names: readonly string[], held: number): AppError | undefined {
  if (names.length + held > MAX_NAMES)
    return new AppError('resource-exhausted', `more than ${MAX_NAMES} resources on one stream`);
  const long = names.find(name => name.length === 0 || name.length > MAX_NAME_LENGTH);
  if (long === undefined) return undefined;
  return new AppError(
    'invalid-argument',
    `a resource name has ${long.length} characters; 1 to ${MAX_NAME_LENGTH} are allowed`,
  );
}
