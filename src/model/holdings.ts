import { compareText, nameOf, type ObjectKey } from '../kernel/index.ts';
import type { Holders, Holding } from './ports.ts';

/** Counts what each proxy enforces of an object. */
export function countHoldings(holdings: ReadonlyMap<ObjectKey, Holding>): Holders {
  const silent = [...holdings].filter(([, holding]) => holding === 'silent').map(([key]) => displayName(key));
  const ready = [...holdings.values()].filter(holding => holding === 'ready').length;
  return { total: holdings.size, ready, silent: silent.toSorted(compareText) };
}

function displayName(key: ObjectKey): string {
  const { namespace, name } = nameOf(key);
  return `${namespace}/${name}`;
}
