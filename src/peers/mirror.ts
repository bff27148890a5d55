// What is known of the proxies of one other replica. States: following (its stream is up; `complete` once all has been told), lost (the stream has
// ended: what was known stays, as out of touch since then). Pure but for the clock that is handed in.
import type { ObjectKey } from '../kernel/index.ts';
import { type ProxyState, SILENT_AFTER_MS, type Sighting } from '../model/index.ts';
import type { PeerUpdate } from '../wire/index.ts';
import type { Interner } from './interner.ts';

export interface RemoteProxy extends ProxyState {
  /** The stream on which it was told. */
  readonly stream: number;
}

export interface MirrorListener {
  put(proxy: RemoteProxy, former: RemoteProxy | undefined): void;
  delete(proxy: RemoteProxy): void;
}

export interface Mirror {
  readonly replica: string;
  /** Undefined while its stream is up. */
  readonly lostAtMs: number | undefined;
  /** Whether its stream is up and has told the whole state. */
  readonly complete: boolean;
  readonly size: number;
  sighting(podKey: ObjectKey): Sighting | undefined;
  /** Proxies whose stream that replica holds. */
  readonly connected: number;
  proxies(): Iterable<RemoteProxy>;
  /** As told, corrected by what a lost stream means. */
  stateOf(proxy: RemoteProxy): ProxyState;
  began(): void;
  apply(update: PeerUpdate): void;
  lost(): void;
  /** Forgets the proxies that `keep` refuses. */
  prune(keep: (proxy: RemoteProxy) => boolean): void;
}

export interface MirrorOptions {
  readonly replica: string;
  readonly nowMs: () => number;
  readonly interner: Interner;
  readonly listener: MirrorListener;
}

export function createMirror({ replica, nowMs, interner, listener }: MirrorOptions): Mirror {
  const proxies = new Map<ObjectKey, RemoteProxy>();
  let stream = 0;
  let connected = 0;
  let complete = false;
  let lostAtMs: number | undefined = nowMs();

  function remove(proxy: RemoteProxy): void {
    proxies.delete(proxy.who.podKey);
    if (proxy.connected) connected -= 1;
    listener.delete(proxy);
  }

  function stateOf(proxy: RemoteProxy): ProxyState {
    if (lostAtMs === undefined) return proxy;
    return { ...proxy, connected: false, silent: proxy.silent || nowMs() - lostAtMs > SILENT_AFTER_MS };
  }

  return {
    replica,
    get lostAtMs() {
      return lostAtMs;
    },
    get complete() {
      return complete;
    },
    get size() {
      return proxies.size;
    },
    get connected() {
      return lostAtMs === undefined ? connected : 0;
    },
    sighting: podKey => {
      const proxy = proxies.get(podKey);
      return proxy === undefined || lostAtMs === undefined ? proxy : { ...proxy, connected: false };
    },
    proxies: () => proxies.values(),
    stateOf,
    began: () => {
      stream += 1;
      complete = false;
      lostAtMs = undefined;
    },
    apply: update => {
      for (const told of update.proxies) {
        const resources = told.resources.map(resource => interner.held(resource));
        const proxy = { ...told, who: interner.who(told.who), resources, replica, stream };
        const former = proxies.get(proxy.who.podKey);
        if (former?.connected === true) connected -= 1;
        if (proxy.connected) connected += 1;
        proxies.set(proxy.who.podKey, proxy);
        listener.put(proxy, former);
      }
      for (const key of update.gone) {
        const proxy = proxies.get(key);
        if (proxy !== undefined) remove(proxy);
      }
      if (!update.complete) return;
      complete = true;
      for (const proxy of proxies.values()) if (proxy.stream !== stream) remove(proxy);
    },
    lost: () => {
      complete = false;
      lostAtMs ??= nowMs();
    },
    prune: keep => {
      for (const proxy of proxies.values()) if (!keep(proxy)) remove(proxy);
    },
  };
}
