// How increments grow old: by the slot at first, later by the minute, and in the end they are in the total alone.
import { createEntry, type Entry, IncrementLog } from './increment-log.ts';
import { COARSE_SLOTS, type Series } from './series.ts';

export interface Bounds {
  /** Slots before these are by the minute, or gone. A multiple of COARSE_SLOTS. */
  readonly fineFrom: number;
  readonly coarseFrom: number;
}

/** Sums increments of several entries. */
class Sum {
  readonly #amounts = new Float64Array(32);
  readonly #columns = new Uint8Array(32);
  readonly #packed = new Float64Array(32);

  add({ columns, amounts, count }: Entry): void {
    for (let index = 0; index < count; index += 1) {
      const column = columns[index] ?? 0;
      this.#amounts[column] = (this.#amounts[column] ?? 0) + (amounts[index] ?? 0);
    }
  }

  /** Empties it into a log. */
  appendTo(log: IncrementLog, slot: number): void {
    let count = 0;
    for (let column = 0; column < this.#amounts.length; column += 1) {
      const amount = this.#amounts[column] ?? 0;
      if (amount === 0) continue;
      this.#columns[count] = column;
      this.#packed[count] = amount;
      this.#amounts[column] = 0;
      count += 1;
    }
    if (count > 0) log.append(slot, this.#columns, this.#packed, count);
  }
}

/** Slot under which a minute stands: its last. */
export const minuteOf = (slot: number): number => slot - (slot % COARSE_SLOTS) + COARSE_SLOTS - 1;

export function createAgeing(): (series: Series, bounds: Bounds) => void {
  const entry = createEntry();
  const sum = new Sum();
  return (series, { fineFrom, coarseFrom }) => {
    for (let first = series.fine.firstSlot; first !== undefined && first < fineFrom; first = series.fine.firstSlot) {
      const minute = minuteOf(first);
      for (let next: number | undefined = first; next !== undefined && next <= minute; next = series.fine.firstSlot) {
        series.fine.shift(entry);
        sum.add(entry);
      }
      series.coarse ??= new IncrementLog();
      sum.appendTo(series.coarse, minute);
    }
    series.fineFrom = Math.max(series.fineFrom, fineFrom);
    series.keptFrom = Math.max(series.keptFrom, coarseFrom);
    series.fine.trim();
    const { coarse } = series;
    if (coarse === undefined) return;
    for (let first = coarse.firstSlot; first !== undefined && first < coarseFrom; first = coarse.firstSlot)
      coarse.shift(entry);
    coarse.trim();
    if (coarse.used === 0) series.coarse = undefined;
  };
}
