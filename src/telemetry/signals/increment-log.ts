// Increments of a few counters over time, packed into bytes: oldest out at the front, newest in at the back, read from the newest back to the oldest.
//
// An entry: slots since the entry before, number of pairs, pairs of column and amount (all as varints, but the column as one byte), its own length.
// Increments are small and few, so an entry takes 6 to 20 bytes; the length at its end is what lets a reader start at the newest.

/** What an entry holds; made once and read into again and again. */
export interface Entry {
  slot: number;
  count: number;
  readonly columns: Uint8Array;
  readonly amounts: Float64Array;
}

/** Most columns of one log: the length of a full entry must fit one byte. */
const MAX_COLUMNS = 27;
/** Most bytes of a pair, and of everything else in an entry. */
const PAIR_BYTES = 9;
const HEAD_BYTES = 10;
/** Room that is made at once, at least. */
const GROWTH_BYTES = 64;
const EMPTY = new Uint8Array(0);

export function createEntry(): Entry {
  return { slot: 0, count: 0, columns: new Uint8Array(MAX_COLUMNS), amounts: new Float64Array(MAX_COLUMNS) };
}

export class IncrementLog {
  #bytes: Uint8Array = EMPTY;
  #head = 0;
  #tail = 0;
  /** Slot that the first entry counts from. */
  #before = 0;
  #last = 0;
  /** Of the reader. */
  #position = 0;

  /** Bytes that are held, used or not. */
  get capacity(): number {
    return this.#bytes.byteLength;
  }

  get used(): number {
    return this.#tail - this.#head;
  }

  get lastSlot(): number | undefined {
    return this.used === 0 ? undefined : this.#last;
  }

  /** `slot` is never before that of the last entry. Whole numbers only, none below zero; columns without increment are left out. */
  append(slot: number, columns: ArrayLike<number>, amounts: ArrayLike<number>, count: number): void {
    if (this.used === 0) {
      this.#before = slot;
      this.#last = slot;
    }
    this.#reserve(HEAD_BYTES + count * PAIR_BYTES);
    const start = this.#tail;
    this.#write(slot - this.#last);
    this.#write(count);
    for (let index = 0; index < count; index += 1) {
      this.#bytes[this.#tail++] = columns[index] ?? 0;
      this.#write(amounts[index] ?? 0);
    }
    this.#bytes[this.#tail] = this.#tail - start;
    this.#tail += 1;
    this.#last = slot;
  }

  /** Slot of the oldest entry. */
  get firstSlot(): number | undefined {
    if (this.used === 0) return undefined;
    this.#position = this.#head;
    return this.#before + this.#read();
  }

  /** Takes the oldest entry out. */
  shift(into: Entry): boolean {
    if (this.used === 0) return false;
    this.#head = this.#decode(this.#head, into) + 1;
    into.slot = this.#before + into.slot;
    this.#before = into.slot;
    if (this.#head === this.#tail) {
      this.#head = 0;
      this.#tail = 0;
      this.#bytes = EMPTY;
    }
    return true;
  }

  /** Gives back what has become free, where it is much. */
  trim(): void {
    if (this.capacity <= this.used * 1.5 + 2 * GROWTH_BYTES) return;
    const kept = new Uint8Array(Math.ceil((this.used * 1.125) / GROWTH_BYTES) * GROWTH_BYTES);
    kept.set(this.#bytes.subarray(this.#head, this.#tail));
    this.#tail = this.used;
    this.#head = 0;
    this.#bytes = kept;
  }

  /** Entries from the newest to the oldest, until `visit` answers false. */
  walkBack(entry: Entry, visit: () => boolean): void {
    let slot = this.#last;
    let end = this.#tail;
    while (end > this.#head) {
      const start = end - 1 - (this.#bytes[end - 1] ?? 0);
      this.#decode(start, entry);
      const since = entry.slot;
      entry.slot = slot;
      if (!visit()) return;
      slot -= since;
      end = start;
    }
  }

  /** Position behind the pairs; `into.slot` is the number of slots since the entry before. */
  #decode(start: number, into: Entry): number {
    this.#position = start;
    into.slot = this.#read();
    into.count = this.#read();
    for (let index = 0; index < into.count; index += 1) {
      into.columns[index] = this.#bytes[this.#position] ?? 0;
      this.#position += 1;
      into.amounts[index] = this.#read();
    }
    return this.#position;
  }

  #read(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#position] ?? 0;
      this.#position += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  #write(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#tail++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#tail++] = rest;
  }

  /** Room for `more` bytes, made by moving to the front where a quarter is free there, else by growing. */
  #reserve(more: number): void {
    const { byteLength } = this.#bytes;
    if (this.#tail + more <= byteLength) return;
    const { used } = this;
    if (used + more <= byteLength && this.#head >= byteLength / 4) {
      this.#bytes.copyWithin(0, this.#head, this.#tail);
    } else {
      const grown = new Uint8Array(Math.ceil((used * 1.25 + more) / GROWTH_BYTES) * GROWTH_BYTES);
      grown.set(this.#bytes.subarray(this.#head, this.#tail));
      this.#bytes = grown;
    }
    this.#head = 0;
    this.#tail = used;
  }
}
