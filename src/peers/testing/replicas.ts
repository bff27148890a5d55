// For tests: replicas with an authority of their own, whose own proxies are set by hand.
import { createIdentity, type Identity } from '../../identity/index.ts';
import { aMesh, anAuthority, type TestAuthority } from '../../identity/testing.ts';
import { contentHash, nameOf, type ObjectKey, podKey } from '../../kernel/index.ts';
import type { ConfigSource, Holding, OwnProxies, ProxyState, Resource, Who } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { type RecordingMetrics, recordingMetrics } from '../../runtime/recording.ts';
import { createPeers, type Peers, type PeersOptions, type PeersTiming } from '../index.ts';

const account = { namespace: 'weft-system', serviceAccount: 'weft-operator' };

export const QUICK: PeersTiming = { everyMs: 20, keepaliveMs: 5_000, keepMs: 300, sweepMs: 50, balanceMs: 20 };

export function aWho(pod: string, node = 'n1'): Who {
  return {
    view: { mesh: 'default', namespace: 'demo', zone: 'z1', node },
    podKey: podKey('demo', pod),
    podUid: `uid-${pod}`,
  };
}

export function aProxy(pod: string, changes: Partial<ProxyState> = {}): ProxyState {
  return {
    who: aWho(pod),
    replica: '',
    connected: true,
    proxyVersion: '0.1.0',
    connectedAtMs: 1_000,
    lastHeardMs: 2_000,
    silent: false,
    resources: [{ name: 'workload', ackedVersion: 'w1', sentVersion: 'w1', nackReason: undefined }],
    leaf: { generation: 'weft-issuer-default-1', notAfterMs: 3_000, skewMs: -5 },
    ...changes,
  };
}

export interface TestOwn extends OwnProxies {
  put(...proxies: readonly ProxyState[]): void;
  remove(podKey: ObjectKey): void;
  /** What holdings() answers for every object. */
  readonly held: Map<ObjectKey, Holding>;
}

function anOwn(): TestOwn {
  const proxies = new Map<ObjectKey, ProxyState>();
  const held = new Map<ObjectKey, Holding>();
  const listeners = new Set<() => void>();
  const proxyListeners = new Set<(podKey: ObjectKey) => void>();
  const tell = (key: ObjectKey): void => {
    for (const listener of proxyListeners) listener(key);
    for (const listener of listeners) listener();
  };
  return {
    held,
    holdings: () => held,
    tooLarge: () => [],
    proxies: () => [...proxies.values()],
    state: key => proxies.get(key),
    sighting: key => proxies.get(key),
    connected: () => [...proxies.values()].filter(({ connected }) => connected).length,
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onProxy: listener => {
      proxyListeners.add(listener);
      return () => void proxyListeners.delete(listener);
    },
    put: (...states) => {
      for (const state of states) {
        proxies.set(state.who.podKey, state);
        tell(state.who.podKey);
      }
    },
    remove: key => {
      proxies.delete(key);
      tell(key);
    },
  };
}

export interface TestSource extends ConfigSource {
  readonly resources: Map<string, Resource>;
  readonly gone: Set<ObjectKey>;
  publish(): void;
}

/** Knows every pod but those that are gone. */
function aSource(): TestSource {
  const resources = new Map<string, Resource>();
  const gone = new Set<ObjectKey>();
  const listeners = new Set<() => void>();
  return {
    resources,
    gone,
    resource: (_who, name) => resources.get(name),
    changed: () => true,
    view: key => (gone.has(key) ? undefined : aWho(nameOf(key).name)),
    onPublish: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    generation: 1,
    publish: () => {
      for (const listener of listeners) listener();
    },
  };
}

export function aResource(name: string, version: string, derivedFrom: readonly ObjectKey[] = []): Resource {
  const domains = [{ mesh: 'default', trustDomain: contentHash(name), anchors: [] }];
  return {
    name,
    version,
    derivedFrom: derivedFrom.map(key => ({ key, generation: 1 })),
    body: { kind: 'trust', trust: { domains, issuer: '', renewWithinMs: 0 } },
  };
}

export interface TestReplica {
  readonly name: string;
  readonly own: TestOwn;
  readonly source: TestSource;
  readonly identity: Identity;
  readonly peers: Peers;
  readonly metrics: RecordingMetrics;
  readonly port: number;
}

export interface TestReplicas {
  readonly authority: TestAuthority;
  start(name: string, changes?: Partial<PeersOptions>): Promise<TestReplica>;
  /** Makes each expect the others. */
  introduce(...replicas: readonly TestReplica[]): void;
  stop(replica: TestReplica): Promise<void>;
  close(): Promise<void>;
}

export async function someReplicas(): Promise<TestReplicas> {
  const clock = { nowMs: () => Date.now() };
  const authority = await anAuthority({ nowMs: clock.nowMs() });
  const running = new Set<TestReplica>();

  async function stop(replica: TestReplica): Promise<void> {
    running.delete(replica);
    await replica.peers.close();
    replica.identity.close();
  }

  return {
    authority,
    stop,
    start: async (name, changes = {}) => {
      const identity = createIdentity({ clock, log: silentLogger, controlNamespace: 'weft-system', account });
      const made = new Promise<void>(resolve => void identity.own.onChange(() => resolve()));
      identity.issuers.update([aMesh(authority.secret)]);
      await made;
      const [own, source, metrics] = [anOwn(), aSource(), recordingMetrics()];
      const peers = createPeers({
        replica: name,
        version: '0.1.0',
        own,
        source,
        leaves: identity.own,
        issuers: identity.issuers,
        account,
        shed: () => 0,
        clock,
        log: silentLogger,
        metrics,
        random: Math.random,
        timing: QUICK,
        ...changes,
      });
      const port = await peers.listen({ host: '127.0.0.1', port: 0 });
      const replica = { name, own, source, identity, peers, metrics, port };
      running.add(replica);
      return replica;
    },
    introduce: (...replicas) => {
      for (const one of replicas) {
        one.peers.expect(
          replicas
            .filter(other => other !== one)
            .map(({ name, port }) => ({ replica: name, address: `127.0.0.1:${port}`, serving: true })),
        );
      }
    },
    close: async () => {
      await Promise.all([...running].map(stop));
    },
  };
}
