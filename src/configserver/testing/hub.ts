// For tests: a hub without a network; each peer is a transport that records.
import type { AppError } from '../../kernel/index.ts';
import type { HeldResource, Resource } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { type RecordingMetrics, recordingMetrics } from '../../runtime/recording.ts';
import { type ServerMessage, decodeServerMessage } from '../../wire/index.ts';
import { createFrames } from '../frames.ts';
import { type Hub, createHub } from '../hub.ts';
import { createHubMetrics } from '../metrics.ts';
import type { ProxyRecord } from '../proxy-record.ts';
import { type Registry, createRegistry } from '../registry.ts';
import { type Topics, createTopics } from '../topics.ts';
import { wireCodec } from '../wire-codec.ts';
import { type TestSource, aSource, aWho } from './source.ts';

export interface Peer {
  readonly proxy: ProxyRecord;
  readonly bytes: readonly Buffer[];
  readonly got: readonly ServerMessage[];
  /** Writes that have not left yet, when the peer is slow. */
  readonly stuck: (() => void)[];
  readonly ended: readonly AppError[];
  /** Names of what came; a `-` before what was removed, a `~` before deltas. */
  readonly names: () => string[];
  readonly subscribe: (...names: readonly string[]) => void;
  /** Acknowledges everything from the given message on. */
  readonly ack: (from?: number) => void;
  /** What the registry knows of a resource of this peer. */
  readonly state: (name: string) => HeldResource | undefined;
}

export interface PeerOptions {
  readonly slow?: boolean;
  readonly held?: readonly { readonly name: string; readonly version: string }[];
  readonly node?: string;
}

export interface TestHub {
  readonly source: TestSource;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly topics: Topics;
  readonly metrics: RecordingMetrics;
  readonly clock: { now: number };
  readonly set: (...resources: readonly Resource[]) => void;
  readonly connect: (pod: string, options?: PeerOptions) => Peer;
}

export function aHub(): TestHub {
  const now = { now: 1_000_000 };
  const clock = { nowMs: () => now.now };
  const source = aSource();
  const metrics = recordingMetrics();
  const topics = createTopics(source);
  const registry = createRegistry({ clock, topics });
  const hubMetrics = createHubMetrics(metrics);
  const frames = createFrames({ codec: wireCodec, maxBytes: 1_000_000, onEncode: () => hubMetrics.encoded() });
  const log = silentLogger;
  const hub = createHub({ source, topics, registry, frames, clock, log, metrics: hubMetrics, windowBytes: 256 });
  source.onPublish(() => hub.publish());

  function connect(pod: string, { slow = false, held = [], node }: PeerOptions = {}): Peer {
    const who = aWho(pod, 'default', node);
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
        if (slow) stuck.push(done);
        else done();
      },
      end: (error: AppError) => void ended.push(error),
    };
    const hello = { kind: 'hello' as const, proxyVersion: '1', protocol: 1, held };
    const proxy = hub.open({ who, hello, transport });
    const mark = (message: ServerMessage): string => ({ upsert: '', remove: '-', delta: '~' })[message.kind];
    return {
      proxy,
      bytes,
      got,
      stuck,
      ended,
      names: () => got.map(message => mark(message) + message.name),
      subscribe: (...names) => hub.receive(proxy, { kind: 'subscribe', names }),
      ack: (from = 0) => {
        for (const message of got.slice(from)) hub.receive(proxy, { kind: 'ack', nonce: message.nonce });
      },
      state: name =>
        registry
          .proxies()
          .find(state => state.who === proxy.who)
          ?.resources.find(resource => resource.name === name),
    };
  }

  return {
    source,
    hub,
    registry,
    topics,
    metrics,
    clock: now,
    connect,
    set: (...resources) => {
      for (const resource of resources) source.resources.set(resource.name, resource);
    },
  };
}
