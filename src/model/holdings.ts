import { compareText, namespacedName, type ObjectKey } from '../kernel/index.ts';
import type { Holders, Holding } from './ports.ts';

/** A proxy that owes an answer for longer, or is out of touch for longer, is named and blocks nothing. */
export const SILENT_AFTER_MS = 30_000;

/** Counts what each proxy enforces of an object. */
export function countHoldings(holdings: ReadonlyMap<ObjectKey, Holding>): Holders {
  const silent = [...holdings].filter(([, holding]) => holding === 'silent').map(([key]) => namespacedName(key));
  const ready = [...holdings.values()].filter(holding => holding === 'ready').length;
  return { total: holdings.size, ready, silent: silent.toSorted(compareText) };
}
