// What one follower is told. States: whole (every proxy waits to be told), then changes. One mark per proxy: whatever a proxy goes through while its
// mark waits is told as its newest state. One message is under way at a time, so a slow follower holds back nothing but itself.
import type { ObjectKey } from '../kernel/index.ts';
import type { OwnProxies } from '../model/index.ts';
import { createUpdateEncoder } from '../wire/index.ts';

/** A message ends after the proxy that brings it here; one proxy with 25,000 resources of the longest names is below what a follower reads. */
const MESSAGE_BYTES = 256 * 1024;
/** Of the time, at most this share goes into encoding for one follower. */
const ENCODING_SHARE = 0.1;

export interface TellerOptions {
  readonly own: Pick<OwnProxies, 'proxies' | 'state' | 'onProxy'>;
  /** `done` once the bytes have left; never after the stream has ended. */
  readonly write: (bytes: Uint8Array, done: () => void) => void;
  /** Longest rate of messages with changes. */
  readonly everyMs: number;
}

/** Tells from now on; the answer ends it. */
export function startTelling({ own, write, everyMs }: TellerOptions): () => void {
  const waiting = new Set<ObjectKey>(own.proxies().map(({ who }) => who.podKey));
  let whole = false;
  let busy = false;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  function tell(): void {
    timer = undefined;
    const startMs = performance.now();
    const message = createUpdateEncoder();
    for (const key of waiting) {
      waiting.delete(key);
      const proxy = own.state(key);
      if (proxy === undefined) message.gone(key);
      else message.add(proxy);
      if (message.size >= MESSAGE_BYTES) break;
    }
    const completes = !whole && waiting.size === 0;
    whole ||= completes;
    busy = true;
    const bytes = message.finish(completes);
    const restMs = Math.max(everyMs, (performance.now() - startMs) / ENCODING_SHARE);
    write(bytes, () => {
      busy = false;
      // The whole state comes in one go; it is bounded by what the network takes.
      wake(whole ? restMs : 0);
    });
  }

  function wake(delayMs: number): void {
    if (ended || busy || timer !== undefined || (waiting.size === 0 && whole)) return;
    timer = setTimeout(tell, delayMs).unref();
  }

  const unsubscribe = own.onProxy(key => {
    waiting.add(key);
    wake(everyMs);
  });
  wake(0);
  return () => {
    ended = true;
    clearTimeout(timer);
    unsubscribe();
  };
}
