// Functions over instant vectors that need nothing but their arguments.
import { RE2JS } from 're2js';
import { histogramQuantile } from './histogram-quantile.ts';
import { labelSet, type LabelSet, keyOf, withoutName } from './labels.ts';
import { compilePattern } from './matching.ts';
import { badData, QueryError } from './query-error.ts';
import type { Element, Value } from './value.ts';

type InstantFunction = (args: readonly Value[]) => readonly Element[];

const vectorOf = (value: Value | undefined): readonly Element[] => (value?.kind === 'vector' ? value.elements : []);
const numberOf = (value: Value | undefined, fallback: number): number =>
  value?.kind === 'scalar' ? value.value : fallback;
const textOf = (value: Value | undefined): string => (value?.kind === 'text' ? value.value : '');

const each =
  (calculate: (value: number, args: readonly Value[]) => number): InstantFunction =>
  args =>
    vectorOf(args[0]).map(({ labels, value }) => ({ labels: withoutName(labels), value: calculate(value, args) }));

const sorted =
  (sign: 1 | -1): InstantFunction =>
  args =>
    vectorOf(args[0]).toSorted((a, b) => {
      // What is no number comes last either way.
      if (Number.isNaN(a.value)) return Number.isNaN(b.value) ? 0 : 1;
      return Number.isNaN(b.value) ? -1 : sign * (a.value - b.value);
    });

function round(value: number, args: readonly Value[]): number {
  const inverse = 1 / numberOf(args[1], 1);
  return Math.floor(value * inverse + 0.5) / inverse;
}

function clamp(args: readonly Value[]): readonly Element[] {
  const [low, high] = [numberOf(args[1], Number.NaN), numberOf(args[2], Number.NaN)];
  if (low > high) return [];
  return each(value => Math.max(low, Math.min(high, value)))(args);
}

const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

function labelReplace(args: readonly Value[]): readonly Element[] {
  const [, target, replacement, source, pattern] = args.map(textOf);
  if (target === undefined || !LABEL.test(target))
    throw badData(`invalid destination label name in label_replace(): ${target}`);
  compilePattern(pattern ?? '');
  const expression = RE2JS.compile(`^(?:${pattern})$`, RE2JS.DOTALL);
  return distinct(
    vectorOf(args[0]).map(element => {
      const matcher = expression.matcher(element.labels.get(source ?? '') ?? '');
      if (!matcher.matches()) return element;
      const value = (replacement ?? '').replaceAll(
        /\$(?:\$|(\d+|[A-Za-z_]\w*)|\{(\d+|[A-Za-z_]\w*)\})/g,
        (whole, plain?: string, braced?: string) => (whole === '$$' ? '$' : groupOf(matcher, plain ?? braced ?? '')),
      );
      return { ...element, labels: withLabel(element.labels, target, value) };
    }),
    'label_replace',
  );
}

/** As in Go: a group that there is none of is empty. */
function groupOf(
  matcher: { groupCount(): number; group(group: string | number): string | null },
  name: string,
): string {
  const index = /^\d+$/.test(name) ? Number(name) : undefined;
  if (index !== undefined && index > matcher.groupCount()) return '';
  try {
    return matcher.group(index ?? name) ?? '';
  } catch {
    return '';
  }
}

function labelJoin(args: readonly Value[]): readonly Element[] {
  const [, target, separator, ...sources] = args.map(textOf);
  if (target === undefined || !LABEL.test(target))
    throw badData(`invalid destination label name in label_join(): ${target}`);
  return distinct(
    vectorOf(args[0]).map(element => {
      const joined = sources.map(source => element.labels.get(source) ?? '').join(separator);
      return { ...element, labels: withLabel(element.labels, target, joined) };
    }),
    'label_join',
  );
}

function withLabel(labels: LabelSet, name: string, value: string): LabelSet {
  return labelSet([...labels].filter(([known]) => known !== name).concat([[name, value]]));
}

function distinct(elements: readonly Element[], where: string): readonly Element[] {
  if (new Set(elements.map(({ labels }) => keyOf(labels))).size < elements.length)
    throw new QueryError('execution', `${where}: vector cannot contain metrics with the same labelset`);
  return elements;
}

export const INSTANT_FUNCTIONS: Readonly<Record<string, InstantFunction>> = {
  abs: each(Math.abs),
  ceil: each(Math.ceil),
  floor: each(Math.floor),
  exp: each(Math.exp),
  ln: each(Math.log),
  log2: each(Math.log2),
  log10: each(Math.log10),
  sqrt: each(Math.sqrt),
  sgn: each(Math.sign),
  round: each(round),
  clamp,
  clamp_min: each((value, args) => Math.max(numberOf(args[1], Number.NaN), value)),
  clamp_max: each((value, args) => Math.min(numberOf(args[1], Number.NaN), value)),
  sort: sorted(1),
  sort_desc: sorted(-1),
  histogram_quantile: args => histogramQuantile(numberOf(args[0], Number.NaN), vectorOf(args[1])),
  label_replace: labelReplace,
  label_join: labelJoin,
  timestamp: args =>
    vectorOf(args[0]).map(({ labels, sampleMs }) => ({
      labels: withoutName(labels),
      value: (sampleMs ?? Number.NaN) / 1_000,
    })),
};
