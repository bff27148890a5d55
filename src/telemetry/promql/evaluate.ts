// The value of an expression at one time, over samples that were fetched before.
import { aggregate, createGrouper, type Grouper } from './aggregate.ts';
import { binary } from './binary.ts';
import type { Aggregate, Call, Expression, Selector } from './expression.ts';
import { INSTANT_FUNCTIONS } from './instant-functions.ts';
import { labelSet, NO_LABELS, withoutName } from './labels.ts';
import { KEEPS_NAME, RANGE_FUNCTIONS, type RangeFunction } from './range-functions.ts';
import { type Element, firstNotBefore, type SampledSeries, type Value, type Window } from './value.ts';

/** How old the newest sample of a series may be for it to have a value. */
export const LOOKBACK_MS = 300_000;

export type Samples = ReadonlyMap<Selector, readonly SampledSeries[]>;

/** Remembers what does not change from step to step. */
export function createEvaluator(samples: Samples): (expression: Expression, atMs: number) => Value {
  const groupers = new Map<Aggregate, Grouper>();

  function evaluate(expression: Expression, atMs: number): Value {
    switch (expression.kind) {
      case 'number':
        return { kind: 'scalar', value: expression.value };
      case 'text':
        return { kind: 'text', value: expression.value };
      case 'selector':
        return { kind: 'vector', elements: instant(expression, atMs) };
      case 'negative':
        return negated(evaluate(expression.of, atMs));
      case 'aggregate':
        return { kind: 'vector', elements: aggregated(expression, atMs) };
      case 'binary':
        return binary(expression, evaluate(expression.left, atMs), evaluate(expression.right, atMs));
      case 'call':
      default:
        return call(expression, atMs);
    }
  }

  function instant(selector: Selector, atMs: number): readonly Element[] {
    const wantedMs = atMs - selector.offsetMs;
    const elements: Element[] = [];
    for (const { labels, timesMs, values } of samples.get(selector) ?? []) {
      const index = firstNotBefore(timesMs, wantedMs + 1) - 1;
      const sampleMs = timesMs[index];
      const value = values[index];
      if (sampleMs === undefined || value === undefined || sampleMs < wantedMs - LOOKBACK_MS) continue;
      elements.push({ labels, value, sampleMs });
    }
    return elements;
  }

  function windows(selector: Selector, atMs: number): readonly Window[] {
    const endMs = atMs - selector.offsetMs;
    const startMs = endMs - (selector.rangeMs ?? 0);
    const found: Window[] = [];
    for (const series of samples.get(selector) ?? []) {
      const from = firstNotBefore(series.timesMs, startMs);
      const to = firstNotBefore(series.timesMs, endMs + 1);
      if (to > from) found.push({ series, from, to, startMs, endMs });
    }
    return found;
  }

  function aggregated(expression: Aggregate, atMs: number): readonly Element[] {
    let grouper = groupers.get(expression);
    if (grouper === undefined) {
      grouper = createGrouper(expression.grouping);
      groupers.set(expression, grouper);
    }
    const of = evaluate(expression.of, atMs);
    const parameter = expression.parameter === undefined ? undefined : evaluate(expression.parameter, atMs);
    return aggregate(
      expression.operation,
      of.kind === 'vector' ? of.elements : [],
      grouper,
      parameter?.kind === 'scalar' ? parameter.value : Number.NaN,
    );
  }

  function overRange(calculate: RangeFunction, selector: Selector, name: string, atMs: number): readonly Element[] {
    const elements: Element[] = [];
    for (const window of windows(selector, atMs)) {
      const value = calculate(window);
      const { labels } = window.series;
      if (value !== undefined) elements.push({ labels: KEEPS_NAME.has(name) ? labels : withoutName(labels), value });
    }
    return elements;
  }

  function call({ name, args }: Call, atMs: number): Value {
    const [first] = args;
    const calculate = RANGE_FUNCTIONS[name];
    if (calculate !== undefined && first?.kind === 'selector')
      return { kind: 'vector', elements: overRange(calculate, first, name, atMs) };
    const values = args.map(arg => evaluate(arg, atMs));
    const [value] = values;
    switch (name) {
      case 'time':
        return { kind: 'scalar', value: atMs / 1_000 };
      case 'vector':
        return { kind: 'vector', elements: [{ labels: NO_LABELS, value: value?.kind === 'scalar' ? value.value : 0 }] };
      case 'scalar':
        return { kind: 'scalar', value: onlyValue(value) };
      case 'absent':
        return { kind: 'vector', elements: isEmpty(value) ? [absentee(first)] : [] };
      default:
        return { kind: 'vector', elements: INSTANT_FUNCTIONS[name]?.(values) ?? [] };
    }
  }

  return evaluate;
}

function onlyValue(value: Value | undefined): number {
  const [first, second] = value?.kind === 'vector' ? value.elements : [];
  return first === undefined || second !== undefined ? Number.NaN : first.value;
}

function isEmpty(value: Value | undefined): boolean {
  return value?.kind !== 'vector' || value.elements.length === 0;
}

function negated(value: Value): Value {
  if (value.kind === 'scalar') return { kind: 'scalar', value: -value.value };
  if (value.kind === 'text') return value;
  return {
    kind: 'vector',
    elements: value.elements.map(({ labels, value: number }) => ({ labels: withoutName(labels), value: -number })),
  };
}

/** With the labels that the selector names by equality, each once. */
function absentee(of: Expression | undefined): Element {
  if (of?.kind !== 'selector') return { labels: NO_LABELS, value: 1 };
  const named = of.matchers.filter(({ name }) => name !== '__name__');
  const once = named.filter(
    ({ name, operator }) => operator === '=' && named.filter(other => other.name === name).length === 1,
  );
  return { labels: labelSet(once.map(({ name, value }) => [name, value] as const)), value: 1 };
}
