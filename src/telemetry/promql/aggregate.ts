// Aggregations. Groups are worked out once per series and aggregation, and remembered: a range query asks for them at every step.
import type { Aggregation, Grouping } from './expression.ts';
import { type LabelSet, keyOf, NAME, omit, pick } from './labels.ts';
import type { Element } from './value.ts';

interface Group {
  readonly key: string;
  readonly labels: LabelSet;
}

export interface Grouper {
  groupOf(labels: LabelSet): Group;
}

export function createGrouper({ mode, labels: names }: Grouping): Grouper {
  const known = new WeakMap<LabelSet, Group>();
  const groups = new Map<string, Group>();
  return {
    groupOf: labels => {
      let group = known.get(labels);
      if (group === undefined) {
        const kept = mode === 'by' ? pick(labels, names) : omit(labels, [...names, NAME]);
        const key = keyOf(kept);
        group = groups.get(key) ?? { key, labels: kept };
        groups.set(key, group);
        known.set(labels, group);
      }
      return group;
    },
  };
}

export function aggregate(
  operation: Aggregation,
  elements: readonly Element[],
  grouper: Grouper,
  parameter: number,
): readonly Element[] {
  const groups = new Map<Group, Element[]>();
  for (const element of elements) {
    const group = grouper.groupOf(element.labels);
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [element]);
    else members.push(element);
  }
  const results: Element[] = [];
  for (const [{ labels }, members] of groups) {
    if (operation === 'topk' || operation === 'bottomk')
      results.push(...extremes(members, parameter, operation === 'topk' ? -1 : 1));
    else results.push({ labels, value: combined(operation, members, parameter) });
  }
  return results;
}

function combined(
  operation: Exclude<Aggregation, 'topk' | 'bottomk'>,
  members: readonly Element[],
  parameter: number,
): number {
  switch (operation) {
    case 'sum':
      return sum(members);
    case 'avg':
      return sum(members) / members.length;
    case 'count':
      return members.length;
    case 'group':
      return 1;
    case 'min':
      return members.reduce((least, { value }) => (value < least || Number.isNaN(least) ? value : least), Number.NaN);
    case 'max':
      return members.reduce((most, { value }) => (value > most || Number.isNaN(most) ? value : most), Number.NaN);
    case 'quantile':
    default:
      return quantile(parameter, members);
  }
}

function sum(members: readonly Element[]): number {
  let total = 0;
  for (const { value } of members) total += value;
  return total;
}

/** The `count` first by ascending (`sign` 1) or descending value; what is no number comes last. */
function extremes(members: readonly Element[], count: number, sign: 1 | -1): readonly Element[] {
  if (!(count >= 1)) return [];
  const ordered = members.toSorted((a, b) => {
    if (Number.isNaN(a.value)) return Number.isNaN(b.value) ? 0 : 1;
    return Number.isNaN(b.value) ? -1 : sign * (a.value - b.value);
  });
  return ordered.slice(0, Math.floor(count));
}

/** Linear between the two values whose ranks are nearest. */
function quantile(share: number, members: readonly Element[]): number {
  if (Number.isNaN(share)) return Number.NaN;
  if (share < 0) return Number.NEGATIVE_INFINITY;
  if (share > 1) return Number.POSITIVE_INFINITY;
  const values = members.map(({ value }) => value).toSorted((a, b) => a - b);
  const rank = share * (values.length - 1);
  const [low, high] = [values[Math.floor(rank)] ?? Number.NaN, values[Math.ceil(rank)] ?? Number.NaN];
  const weight = rank - Math.floor(rank);
  return low * (1 - weight) + high * weight;
}
