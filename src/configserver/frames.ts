// Encodes each message once: streams that need the same (name, version) get the very same bytes and nonce. Newest used stay, up to a bound on
// bytes; what was dropped is encoded again under a new nonce, which is only slower.
import type { Result } from '../kernel/index.ts';
import type { Resource } from '../model/index.ts';
import type { ClientMessage } from '../wire/index.ts';

/** What the wire layer offers; whole ServerMessages in and out. */
export interface Codec {
  upsert(resource: Resource, nonce: bigint): Uint8Array;
  /** Undefined: a delta does not pay, or the resources are no endpoints. */
  delta(base: Resource, resource: Resource, nonce: bigint): Uint8Array | undefined;
  remove(name: string, nonce: bigint): Uint8Array;
  /** The error says what is wrong with the bytes. */
  decode(bytes: Uint8Array): Result<ClientMessage, string>;
}

/** One encoded message. */
export interface Frame {
  readonly nonce: bigint;
  readonly bytes: Buffer;
  readonly delta: boolean;
}

export interface Frames {
  upsert(resource: Resource): Frame;
  /** On top of `base`; the whole resource where a delta does not pay. */
  delta(base: Resource, resource: Resource): Frame;
  remove(name: string): Frame;
  readonly heldBytes: number;
}

export interface FramesOptions {
  readonly codec: Codec;
  readonly maxBytes: number;
  readonly onEncode?: () => void;
}

export function createFrames({ codec, maxBytes, onEncode }: FramesOptions): Frames {
  const frames = new Map<string, Frame>();
  const unprofitable = new Set<string>();
  let heldBytes = 0;
  let lastNonce = 0n;

  function recall(key: string): Frame | undefined {
    const frame = frames.get(key);
    if (frame === undefined) return undefined;
    frames.delete(key);
    frames.set(key, frame);
    return frame;
  }

  function keep(key: string, encoded: Uint8Array, delta: boolean): Frame {
    onEncode?.();
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    const frame = { nonce: lastNonce, bytes, delta };
    frames.set(key, frame);
    heldBytes += bytes.byteLength;
    for (const [oldest, old] of frames) {
      if (heldBytes <= maxBytes || oldest === key) break;
      frames.delete(oldest);
      heldBytes -= old.bytes.byteLength;
    }
    return frame;
  }

  function upsert(resource: Resource): Frame {
    const key = `${resource.name}@${resource.version}`;
    return recall(key) ?? keep(key, codec.upsert(resource, (lastNonce += 1n)), false);
  }

  function delta(base: Resource, resource: Resource): Frame {
    const key = `${resource.name}@${base.version}>${resource.version}`;
    const known = recall(key);
    if (known !== undefined) return known;
    if (unprofitable.has(key)) return upsert(resource);
    const encoded = codec.delta(base, resource, (lastNonce += 1n));
    if (encoded !== undefined) return keep(key, encoded, true);
    if (unprofitable.size > 10_000) unprofitable.clear();
    unprofitable.add(key);
    return upsert(resource);
  }

  return {
    upsert,
    delta,
    remove: name => {
      const key = `${name}@`;
      return recall(key) ?? keep(key, codec.remove(name, (lastNonce += 1n)), false);
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}
