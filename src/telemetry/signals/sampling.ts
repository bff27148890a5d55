// What a scraper would have seen: the values of a series at the slots of a range, worked out from its total backwards.
import { minuteOf } from './ageing.ts';
import type { Entry } from './increment-log.ts';
import type { Part } from './kinds.ts';
import { COARSE_SLOTS, type Series } from './series.ts';

export interface SlotRange {
  readonly from: number;
  /** Included. */
  readonly to: number;
}

/**
 * The slots that have a sample: every one since the first increment, by the minute where nothing finer is kept, up to the last report of its
 * proxy. One more stands before the first increment, with zero: unlike a scraper, we know that there was nothing before it.
 */
export function slotsOf(series: Series, range: SlotRange, newest: number): Float64Array {
  const reported = series.reporter?.lastSlot ?? newest;
  const last = Math.min(range.to, reported);
  const slots: number[] = [];
  for (
    let minute = Math.max(minuteOf(series.born) - COARSE_SLOTS, minuteOf(Math.max(series.keptFrom, range.from, 0)));
    minute < series.fineFrom && minute <= Math.min(range.to, minuteOf(reported));
    minute += COARSE_SLOTS
  )
    slots.push(minute);
  for (let slot = Math.max(series.born - 1, series.fineFrom, series.keptFrom, range.from); slot <= last; slot += 1)
    slots.push(slot);
  return Float64Array.from(slots);
}

/** The value of each part at each of the ascending `slots`. */
export function valuesAt(
  series: Series,
  slots: Float64Array,
  parts: readonly Part[],
  entry: Entry,
): readonly Float64Array[] {
  const values = parts.map(() => new Float64Array(slots.length));
  const running = Float64Array.from(series.total);
  let next = slots.length - 1;

  function put(): void {
    for (let index = 0; index < parts.length; index += 1) {
      const part = parts[index];
      const into = values[index];
      if (part === undefined || into === undefined) continue;
      let sum = 0;
      for (const column of part.columns) sum += running[column] ?? 0;
      into[next] = sum * part.scale;
    }
    next -= 1;
  }

  const visit = (): boolean => {
    while (next >= 0 && (slots[next] ?? 0) >= entry.slot) put();
    if (next < 0) return false;
    for (let index = 0; index < entry.count; index += 1) {
      const column = entry.columns[index] ?? 0;
      running[column] = (running[column] ?? 0) - (entry.amounts[index] ?? 0);
    }
    return true;
  };
  series.fine.walkBack(entry, visit);
  if (next >= 0) series.coarse?.walkBack(entry, visit);
  while (next >= 0) put();
  return values;
}
