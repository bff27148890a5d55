import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

const PIECE = 256 * 1024;

/** So many bytes of which no two pieces are alike, made while they are read, and the hash of all of them. */
export class Noise {
  readonly length: number;
  private readonly hash = createHash('sha256');
  private readonly pattern = randomBytes(PIECE);

  constructor(length: number) {
    this.length = length;
  }

  /** To be read once. */
  stream(): Readable {
    return Readable.from(this.pieces(), { objectMode: false, highWaterMark: PIECE });
  }

  /** Of all bytes, once they are read. */
  sha256(): string {
    return this.hash.copy().digest('hex');
  }

  private *pieces(): Generator<Buffer> {
    for (let sent = 0; sent < this.length; sent += PIECE) {
      const piece = Buffer.from(this.pattern.subarray(0, Math.min(PIECE, this.length - sent)));
      piece.writeDoubleBE(sent, 0);
      this.hash.update(piece);
      yield piece;
    }
  }
}
