// The few fields of a ServerMessage that a simulated proxy looks at, read without building the message. Pure; a test holds it to src/wire.

export interface Glance {
  readonly nonce: bigint;
  readonly name: string;
  /** Empty: the resource is gone. */
  readonly version: string;
}

/** ServerMessage { nonce = 1, upsert = 2 { name = 1, version = 2 }, remove = 3 { name = 1 } } */
export function glance(bytes: Buffer): Glance {
  let nonce = 0n;
  let name = '';
  let version = '';
  for (const [field, value] of fields(bytes)) {
    if (field === 1 && typeof value === 'bigint') nonce = value;
    if ((field === 2 || field === 3) && typeof value !== 'bigint') {
      for (const [inner, content] of fields(value)) {
        if (typeof content === 'bigint') continue;
        if (inner === 1) name = content.toString('latin1');
        if (inner === 2) version = content.toString('latin1');
        // They come first; what follows is the resource.
        if (inner >= 2) break;
      }
    }
  }
  return { nonce, name, version };
}

function* fields(bytes: Buffer): Generator<readonly [number, bigint | Buffer]> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.byteLength) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) yield [tag >> 3, varint()];
    else if (wire === 2) {
      const length = Number(varint());
      at += length;
      yield [tag >> 3, bytes.subarray(at - length, at)];
    } else throw new Error(`a field of wire type ${wire} in a ServerMessage`);
  }
}
