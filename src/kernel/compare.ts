/** Code unit order: the same on every machine, unlike `localeCompare`. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A sorted copy without duplicates. */
export function sortedUnique<T extends string | number>(values: Iterable<T>): readonly T[] {
  return [...new Set(values)].toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0));
}
