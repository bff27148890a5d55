// Binary operators: between numbers, between a vector and a number, and between vectors whose elements are matched by labels.
import { type Binary, COMPARISONS, type BinaryOperator, type Matching } from './expression.ts';
import { type LabelSet, keyOf, labelSet, omit, NAME, pick, withoutName } from './labels.ts';
import { QueryError } from './query-error.ts';
import type { Element, Value } from './value.ts';

function calculate(operator: BinaryOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
    case '^':
      return left ** right;
    case '==':
      return Number(left === right);
    case '!=':
      return Number(left !== right);
    case '<':
      return Number(left < right);
    case '<=':
      return Number(left <= right);
    case '>':
      return Number(left > right);
    case '>=':
      return Number(left >= right);
    case 'and':
    case 'or':
    case 'unless':
    default:
      return Number.NaN;
  }
}

const isComparison = (operator: BinaryOperator): boolean => COMPARISONS.some(known => known === operator);

export function binary(expression: Binary, left: Value, right: Value): Value {
  const { operator } = expression;
  if (left.kind === 'scalar' && right.kind === 'scalar')
    return { kind: 'scalar', value: calculate(operator, left.value, right.value) };
  if (left.kind === 'vector' && right.kind === 'vector') {
    const elements =
      operator === 'and' || operator === 'or' || operator === 'unless'
        ? combineSets(operator, left.elements, right.elements, expression.matching)
        : matched(expression, left.elements, right.elements);
    return { kind: 'vector', elements };
  }
  return { kind: 'vector', elements: withNumber(expression, left, right) };
}

function withNumber({ operator, bool }: Binary, left: Value, right: Value): readonly Element[] {
  const vector = left.kind === 'vector' ? left.elements : right.kind === 'vector' ? right.elements : [];
  const number = left.kind === 'scalar' ? left.value : right.kind === 'scalar' ? right.value : Number.NaN;
  const results: Element[] = [];
  for (const element of vector) {
    const { labels, value } = element;
    const result = left.kind === 'vector' ? calculate(operator, value, number) : calculate(operator, number, value);
    if (!isComparison(operator) || bool) results.push({ labels: withoutName(labels), value: result });
    else if (result === 1) results.push(element);
  }
  return results;
}

/** What of the labels decides which elements belong together; remembered per label set. */
function createSignature({ mode, labels: names }: Matching): (labels: LabelSet) => string {
  const known = new WeakMap<LabelSet, string>();
  return labels => {
    let key = known.get(labels);
    if (key === undefined) {
      key = keyOf(mode === 'on' ? pick(labels, names) : omit(labels, [...names, NAME]));
      known.set(labels, key);
    }
    return key;
  };
}

function combineSets(
  operator: 'and' | 'or' | 'unless',
  left: readonly Element[],
  right: readonly Element[],
  matching: Matching,
): readonly Element[] {
  const signature = createSignature(matching);
  const keys = (side: readonly Element[]): ReadonlySet<string> => new Set(side.map(({ labels }) => signature(labels)));
  if (operator === 'or') {
    const taken = keys(left);
    return [...left, ...right.filter(({ labels }) => !taken.has(signature(labels)))];
  }
  const other = keys(right);
  return left.filter(({ labels }) => other.has(signature(labels)) === (operator === 'and'));
}

function matched(expression: Binary, left: readonly Element[], right: readonly Element[]): readonly Element[] {
  const { operator, bool, matching } = expression;
  const signature = createSignature(matching);
  const [many, one] = matching.many === 'right' ? [right, left] : [left, right];
  const ones = new Map<string, Element>();
  for (const element of one) {
    const key = signature(element.labels);
    if (ones.has(key)) throw ambiguous(matching.many === 'right' ? 'left' : 'right', element.labels, matching);
    ones.set(key, element);
  }
  const results: Element[] = [];
  const seen = new Set<string>();
  for (const element of many) {
    const key = signature(element.labels);
    const partner = ones.get(key);
    if (partner === undefined) continue;
    const [a, b] = matching.many === 'right' ? [partner, element] : [element, partner];
    const result = calculate(operator, a.value, b.value);
    const filters = isComparison(operator) && !bool;
    if (filters && result !== 1) continue;
    const labels = resultLabels(element.labels, partner.labels, matching, filters);
    // One to one: each partner once. Many to one: each result once.
    const identity = matching.many === 'none' ? key : keyOf(labels);
    if (seen.has(identity)) throw matching.many === 'none' ? ambiguous('left', element.labels, matching) : repeated();
    seen.add(identity);
    results.push({ labels, value: filters ? a.value : result });
  }
  return results;
}

function resultLabels(many: LabelSet, one: LabelSet, matching: Matching, keepsName: boolean): LabelSet {
  const base = keepsName ? many : withoutName(many);
  if (matching.many === 'none')
    return matching.mode === 'on' ? pick(base, matching.labels) : omit(base, matching.labels);
  if (matching.include.length === 0) return base;
  const taken = matching.include.map(name => [name, one.get(name) ?? ''] as const);
  return labelSet([...omit(base, matching.include), ...taken]);
}

function ambiguous(side: 'left' | 'right', labels: LabelSet, matching: Matching): QueryError {
  const shown = [...labels].map(([name, value]) => `${name}="${value}"`).join(', ');
  const hint =
    matching.many === 'none' && side === 'left'
      ? 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)'
      : `found duplicate series for the match group on the ${side} hand-side of the operation: {${shown}}; many-to-many matching not allowed: matching labels must be unique on one side`;
  return new QueryError('execution', hint);
}

function repeated(): QueryError {
  return new QueryError('execution', 'multiple matches for labels: grouping labels must ensure unique matches');
}
