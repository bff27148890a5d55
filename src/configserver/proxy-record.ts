// What is known of one proxy, connected or lately so, and the pump that writes to its stream.
//
// States: connected (`transport` is there; the pump writes while less than `windowBytes` are on their way, so a slow client holds back nothing
// but itself), disconnected (no transport; slots stay, for the proxy goes on enforcing what it holds). A new stream of the same pod takes the
// place of the record.
import type { AppError } from '../kernel/index.ts';
import type { ProxyLeaf, Who } from '../model/index.ts';
import type { Frame, Frames } from './frames.ts';
import { type Waiting, createWaiting, enqueue, takeNext } from './send-order.ts';
import { oversizeOf } from './message-bound.ts';
import { REMOVED, type Slot, deltaBase } from './slot.ts';

/** The writing side of a stream. */
export interface Transport {
  /** `done` is called when the bytes have left for the network; never after the stream has ended. */
  write(bytes: Buffer, done: () => void): void;
  end(error: AppError): void;
}

export interface ProxyRecord {
  who: Who;
  readonly proxyVersion: string;
  readonly connectedAtMs: number;
  lastHeardMs: number;
  leaf: ProxyLeaf | undefined;
  disconnectedAtMs: number | undefined;
  transport: Transport | undefined;
  readonly slots: Map<string, Slot>;
  readonly waiting: Waiting;
  /** Messages without an answer, by nonce, oldest first. */
  readonly unanswered: Map<bigint, Unanswered>;
  /** Bytes handed to the transport that have not left yet. */
  inFlightBytes: number;
  /** When the client stopped taking what waits for it. */
  blockedSinceMs: number | undefined;
}

export interface Unanswered {
  readonly slot: Slot;
  readonly version: string;
  readonly delta: boolean;
  readonly sentAtMs: number;
}

export interface NewProxy {
  readonly who: Who;
  readonly proxyVersion: string;
  readonly transport: Transport;
  readonly nowMs: number;
}

export function newProxyRecord(proxy: NewProxy): ProxyRecord {
  return {
    who: proxy.who,
    proxyVersion: proxy.proxyVersion,
    connectedAtMs: proxy.nowMs,
    lastHeardMs: proxy.nowMs,
    leaf: undefined,
    disconnectedAtMs: undefined,
    transport: proxy.transport,
    slots: new Map(),
    waiting: createWaiting(),
    unanswered: new Map(),
    inFlightBytes: 0,
    blockedSinceMs: undefined,
  };
}

export interface PumpOptions {
  readonly frames: Frames;
  readonly windowBytes: number;
  readonly nowMs: () => number;
  readonly onSent: (slot: Slot, frame: Frame) => void;
  /** A version that no proxy would take was held back. */
  readonly onOversize: (slot: Slot) => void;
}

/** Puts the slot in its place in the queue of its stream; pump() then sends. */
export function mark(slot: Slot): void {
  enqueue(slot.proxy.waiting, slot);
}

/** Writes what waits until the window is full. Called after marks, and by each completed write. */
export function pump(proxy: ProxyRecord, options: PumpOptions): void {
  while (proxy.transport !== undefined && proxy.inFlightBytes < options.windowBytes) {
    const slot = takeNext(proxy.waiting, proxy.slots);
    if (slot === undefined) break;
    send(proxy, slot, options);
  }
  const waits = proxy.waiting.upserts.size + proxy.waiting.removals.size > 0;
  proxy.blockedSinceMs = waits ? (proxy.blockedSinceMs ?? options.nowMs()) : undefined;
}

function send(proxy: ProxyRecord, slot: Slot, options: PumpOptions): void {
  const { resource } = slot.topic;
  const base = deltaBase(slot);
  const frame =
    resource === undefined
      ? options.frames.remove(slot.topic.name)
      : base === undefined
        ? options.frames.upsert(resource)
        : options.frames.delta(base, resource);
  const version = resource?.version ?? REMOVED;
  const oversize = resource === undefined ? undefined : oversizeOf(resource, frame.bytes.byteLength);
  if (oversize !== undefined) {
    slot.told = version;
    slot.whole = false;
    slot.oversize = oversize;
    options.onOversize(slot);
    return;
  }
  slot.oversize = undefined;
  // One nonce per slot: an answer to an older message says nothing that the answer to this one will not.
  if (slot.nonce !== undefined) proxy.unanswered.delete(slot.nonce);
  slot.told = version;
  slot.whole = false;
  slot.nonce = frame.nonce;
  proxy.unanswered.set(frame.nonce, { slot, version, delta: frame.delta, sentAtMs: options.nowMs() });
  const length = frame.bytes.byteLength;
  proxy.inFlightBytes += length;
  options.onSent(slot, frame);
  proxy.transport?.write(frame.bytes, () => {
    proxy.inFlightBytes -= length;
    proxy.blockedSinceMs = undefined;
    pump(proxy, options);
  });
}
