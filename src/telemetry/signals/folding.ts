// Several series made one: totals add up, and so does every slot, so that no sum over all series changes.
import { createEntry, IncrementLog } from './increment-log.ts';
import { minuteOf } from './ageing.ts';
import type { Series } from './series.ts';

type BySlot = Map<number, Map<number, number>>;

/** Adds `parts` to `target`, which is counted by many from then on. */
export function fold(target: Series, parts: readonly Series[]): void {
  const fineFrom = Math.max(target.fineFrom, ...parts.map(part => part.fineFrom));
  const fine: BySlot = new Map();
  const coarse: BySlot = new Map();
  for (const series of [target, ...parts]) {
    if (series.coarse !== undefined) collect(series.coarse, slot => ({ into: coarse, slot }));
    // What is by the minute in one of them is so in all.
    collect(series.fine, slot => (slot < fineFrom ? { into: coarse, slot: minuteOf(slot) } : { into: fine, slot }));
  }
  for (const part of parts) {
    for (let column = 0; column < target.total.length; column += 1)
      target.total[column] = (target.total[column] ?? 0) + (part.total[column] ?? 0);
    target.born = Math.min(target.born, part.born);
    part.into = target;
    part.fine = new IncrementLog();
    part.coarse = undefined;
  }
  target.reporter = undefined;
  target.fineFrom = fineFrom;
  target.keptFrom = Math.max(target.keptFrom, ...parts.map(part => part.keptFrom));
  target.fine = written(fine);
  target.coarse = coarse.size === 0 ? undefined : written(coarse);
}

function collect(log: IncrementLog, place: (slot: number) => { readonly into: BySlot; readonly slot: number }): void {
  const entry = createEntry();
  log.walkBack(entry, () => {
    const { into, slot } = place(entry.slot);
    let amounts = into.get(slot);
    if (amounts === undefined) {
      amounts = new Map();
      into.set(slot, amounts);
    }
    for (let index = 0; index < entry.count; index += 1) {
      const column = entry.columns[index] ?? 0;
      amounts.set(column, (amounts.get(column) ?? 0) + (entry.amounts[index] ?? 0));
    }
    return true;
  });
}

function written(slots: BySlot): IncrementLog {
  const log = new IncrementLog();
  for (const [slot, amounts] of [...slots].toSorted(([a], [b]) => a - b)) {
    const pairs = [...amounts].toSorted(([a], [b]) => a - b);
    log.append(
      slot,
      pairs.map(([column]) => column),
      pairs.map(([, amount]) => amount),
      pairs.length,
    );
  }
  return log;
}
