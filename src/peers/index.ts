/**
 * L4: several replicas as one. Every replica follows every other over one stream each (proto/weft/peers/v1, mutual TLS as the operator itself) and is
 * told of the proxies there; the combined registry is what reconcilers and the operator API read. Owns who is expected (the EndpointSlices of the
 * headless Service), what is known of whom, how long that is kept, and when proxies are asked to spread. Imports kernel, model, runtime, identity
 * and wire; never another L4 folder.
 *
 * A replica whose stream is lost is named as missing for as long as it is expected, and its proxies stay known, as out of touch; those of a replica
 * that is expected no longer are forgotten after `keepMs`: by then they have found another.
 */
import type { LoadedIssuers, OwnLeaves } from '../identity/index.ts';
import { AppError, type ServiceAccountName } from '../kernel/index.ts';
import type { ConfigSource, MissingReplica, OwnProxies, ProxyRegistry, Unsubscribe } from '../model/index.ts';
import { type Clock, type Logger, type Metrics, sleep } from '../runtime/index.ts';
import { streamsToShed } from './balance.ts';
import { follow } from './follower.ts';
import { createHolderIndex } from './holder-index.ts';
import { peerCredentials } from './identity.ts';
import { createInterner } from './interner.ts';
import type { Member } from './members.ts';
import { createPeerMetrics } from './metrics.ts';
import { createMirror, type Mirror } from './mirror.ts';
import { createCombinedRegistry } from './registry.ts';
import { createPeerServer } from './server.ts';
import { PROTOCOL } from './service.ts';
import { startTelling } from './teller.ts';

export { type Member, membersOf } from './members.ts';

export interface PeersOptions {
  /** Name of this pod. */
  readonly replica: string;
  readonly version: string;
  readonly own: OwnProxies;
  readonly source: ConfigSource;
  readonly leaves: Pick<OwnLeaves, 'get' | 'meshes'>;
  readonly issuers: Pick<LoadedIssuers, 'trust'>;
  /** The operator's own service account. */
  readonly account: ServiceAccountName;
  /** Ends so many streams of proxies, which then connect anew; answers with how many it ended. */
  readonly shed: (count: number) => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly timing?: Partial<PeersTiming>;
}

export interface PeersTiming {
  /** Between two messages with changes. */
  readonly everyMs: number;
  /** Between two pings, and for the answer to one. */
  readonly keepaliveMs: number;
  /** How long proxies of a replica are known that is expected no longer. */
  readonly keepMs: number;
  readonly sweepMs: number;
  /** Between two rounds of spreading, give or take a half. */
  readonly balanceMs: number;
}

const TIMING: PeersTiming = { everyMs: 200, keepaliveMs: 5_000, keepMs: 60_000, sweepMs: 5_000, balanceMs: 1_000 };

export interface Peers {
  /** All proxies of all replicas. */
  readonly registry: ProxyRegistry;
  /** The other replicas that there should be. */
  expect(members: readonly Member[]): void;
  /** Resolves with the port once other replicas can follow this one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  close(): Promise<void>;
}

/** One other replica: while it is expected, a follower runs. */
interface Peer {
  readonly mirror: Mirror;
  member: Member | undefined;
  reason: string;
  following: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
}

export function createPeers(options: PeersOptions): Peers {
  const { own, source, clock, random, replica, version } = options;
  const log = options.log.child({ component: 'peers' });
  const timing = { ...TIMING, ...options.timing };
  const meters = createPeerMetrics(options.metrics);
  const interner = createInterner();
  const peers = new Map<string, Peer>();
  const listeners = new Set<() => void>();
  const hello = { replica, version, protocol: PROTOCOL };
  const nowMs = (): number => clock.nowMs();
  const credentials = () =>
    peerCredentials({ own: options.leaves, issuers: options.issuers, account: options.account });
  const index = createHolderIndex({
    source,
    nowMs,
    proxies: function* () {
      for (const { mirror } of peers.values()) yield* mirror.proxies();
    },
  });
  const closing = new AbortController();
  let told = true;

  function touch(): void {
    if (!told) return;
    told = false;
    setImmediate(() => {
      told = true;
      measure();
      for (const listener of listeners) listener();
    });
  }

  function measure(): void {
    const expected = [...peers.values()].filter(({ member }) => member !== undefined);
    const complete = expected.filter(({ mirror }) => mirror.complete).length;
    meters.replicas(complete, expected.length - complete);
    meters.proxies([...peers.values()].reduce((sum, { mirror }) => sum + mirror.size, 0));
  }

  function missing(): readonly MissingReplica[] {
    return [...peers.values()]
      .filter(({ member, mirror }) => member !== undefined && !mirror.complete)
      .map(({ mirror, reason }) => ({ replica: mirror.replica, reason }));
  }

  function peerOf(name: string): Peer {
    const known = peers.get(name);
    if (known !== undefined) return known;
    const mirror = createMirror({ replica: name, nowMs, interner, listener: index });
    const peer: Peer = { mirror, member: undefined, reason: 'not connected yet', following: undefined };
    peers.set(name, peer);
    return peer;
  }

  function start(peer: Peer): void {
    const { mirror } = peer;
    const stop = new AbortController();
    const ended = follow(
      {
        replica: mirror.replica,
        address: () => peer.member?.address ?? '',
        credentials,
        hello,
        onBegin: other => {
          mirror.began();
          peer.reason = 'connected; it has not told all yet';
          log.info('following another replica', { peer: mirror.replica, version: other.version });
        },
        onUpdate: update => {
          meters.heard();
          mirror.apply(update);
          touch();
        },
        onLost: reason => {
          mirror.lost();
          peer.reason = reason;
          touch();
        },
        log,
        random,
        keepaliveMs: timing.keepaliveMs,
      },
      stop.signal,
    );
    peer.following = { stop, ended };
  }

  function expect(members: readonly Member[]): void {
    if (closing.signal.aborted) return;
    const wanted = new Map(members.map(member => [member.replica, member]));
    for (const [name, member] of wanted) {
      const peer = peerOf(name);
      peer.member = member;
      if (peer.following === undefined) start(peer);
    }
    for (const [name, peer] of peers) {
      if (wanted.has(name)) continue;
      peer.member = undefined;
      peer.following?.stop.abort(new AppError('cancelled', 'the replica is expected no longer'));
      peer.following = undefined;
    }
    touch();
  }

  /** A proxy of a lost replica is known for as long as its pod has one; a replica that is expected no longer, for a while. */
  function sweep(): void {
    for (const [name, { mirror, member }] of peers) {
      const { lostAtMs } = mirror;
      if (lostAtMs === undefined) continue;
      const isOver = member === undefined && nowMs() - lostAtMs > timing.keepMs;
      mirror.prune(({ who }) => !isOver && source.view(who.podKey)?.podUid === who.podUid);
      if (isOver) peers.delete(name);
      touch();
    }
  }

  async function spread(): Promise<void> {
    while (await sleep(timing.balanceMs * (0.5 + random()), closing.signal)) {
      const expected = [...peers.values()].filter(({ member }) => member !== undefined);
      const takers = expected.filter(({ member }) => member?.serving === true);
      const count = streamsToShed({
        own: own.connected(),
        others: takers.map(({ mirror }) => mirror.connected),
        known: expected.every(({ mirror }) => mirror.complete),
      });
      if (count === 0) continue;
      const ended = options.shed(count);
      meters.shed(ended);
      log.debug('proxies sent to other replicas', { count: ended });
    }
  }

  const server = createPeerServer({
    credentials,
    hello,
    log,
    keepaliveMs: timing.keepaliveMs,
    onFollower: write =>
      startTelling({
        own,
        everyMs: timing.everyMs,
        write: (bytes, done) => {
          meters.told(bytes.byteLength);
          write(bytes, done);
        },
      }),
  });
  const unsubscribe = source.onPublish(() => index.refresh());
  const sweeper = setInterval(sweep, timing.sweepMs).unref();
  const spreading = spread();

  return {
    registry: createCombinedRegistry({
      own,
      mirrors: () => [...peers.values()].map(({ mirror }) => mirror),
      mirrorOf: name => peers.get(name)?.mirror,
      index,
      missing,
      onMirror: (listener): Unsubscribe => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    }),
    expect,
    listen: async address => {
      const port = await server.listen(address);
      log.info('telling other replicas', { port });
      return port;
    },
    close: async () => {
      closing.abort();
      unsubscribe();
      clearInterval(sweeper);
      const followers = [...peers.values()].flatMap(({ following }) => following ?? []);
      for (const { stop } of followers) stop.abort();
      await Promise.all([spreading, server.close(), ...followers.map(({ ended }) => ended)]);
    },
  };
}
