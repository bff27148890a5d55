// Label sets of results. Sorted by name, and never changed once made, so that what was worked out of one can be remembered.

/** In ascending order of names; `__name__` is one of them. */
export type LabelSet = ReadonlyMap<string, string>;

export const NAME = '__name__';
export const NO_LABELS: LabelSet = new Map();

/** Empty values are as if absent. */
export function labelSet(pairs: Iterable<readonly [string, string]>): LabelSet {
  const sorted = [...pairs].filter(([, value]) => value !== '').toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return new Map(sorted);
}

/** Equal for equal sets, and for no others. */
export function keyOf(labels: LabelSet): string {
  let key = '';
  for (const [name, value] of labels) key += `${name}\u0001${value}\u0000`;
  return key;
}

export function pick(labels: LabelSet, names: readonly string[]): LabelSet {
  return labelSet(names.map(name => [name, labels.get(name) ?? ''] as const));
}

export function omit(labels: LabelSet, names: readonly string[]): LabelSet {
  const left = new Map(labels);
  for (const name of names) left.delete(name);
  return left;
}

const nameless = new WeakMap<LabelSet, LabelSet>();

/** Without the name of the metric: whatever is calculated is that metric no longer. */
export function withoutName(labels: LabelSet): LabelSet {
  if (!labels.has(NAME)) return labels;
  let known = nameless.get(labels);
  if (known === undefined) {
    known = omit(labels, [NAME]);
    nameless.set(labels, known);
  }
  return known;
}
