// Questions answered: at one time, or at every step of a range. Samples are fetched once, for all steps; long work gives way to others in between.
import { createEvaluator, LOOKBACK_MS, type Samples } from './evaluate.ts';
import { type Expression, type Selector, selectorsOf } from './expression.ts';
import { type LabelSet, keyOf, NO_LABELS } from './labels.ts';
import { badData, QueryError } from './query-error.ts';
import { type Element, firstNotBefore, type SampledSeries, type Value } from './value.ts';

export interface Wanted {
  readonly selector: Selector;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Fetched {
  readonly samples: Samples;
  readonly warnings: readonly string[];
}

export type Fetch = (wanted: readonly Wanted[], signal: AbortSignal) => Promise<Fetched>;

export interface Points {
  readonly labels: LabelSet;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

export type Answer =
  | { readonly kind: 'vector'; readonly atMs: number; readonly elements: readonly Element[] }
  | { readonly kind: 'scalar'; readonly atMs: number; readonly value: number }
  | { readonly kind: 'string'; readonly atMs: number; readonly value: string }
  | { readonly kind: 'matrix'; readonly series: readonly Points[] };

export interface Answered {
  readonly answer: Answer;
  readonly warnings: readonly string[];
}

/** Points of one series in one answer, as in Prometheus. */
const MAX_POINTS = 11_000;
/** Points of all series in one answer. */
const MAX_ALL_POINTS = 2_000_000;
/** Longest work without a break for others. */
const SLICE_MS = 8;

export async function answerAt(
  expression: Expression,
  atMs: number,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<Answered> {
  const { samples, warnings } = await fetch(wantedFor(expression, atMs, atMs), signal);
  if (expression.kind === 'selector' && expression.rangeMs !== undefined)
    return { answer: rawSamples(expression, samples, atMs), warnings };
  const value = createEvaluator(samples)(expression, atMs);
  return { answer: answerOf(value, atMs), warnings };
}

export interface Range {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

export async function answerRange(
  expression: Expression,
  { startMs, endMs, stepMs }: Range,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<Answered> {
  if (endMs < startMs) throw badData('end timestamp must not be before start time');
  if (!(stepMs > 0))
    throw badData('zero or negative query resolution step widths are not accepted. Try a positive integer');
  if ((endMs - startMs) / stepMs > MAX_POINTS)
    throw badData(
      `exceeded maximum resolution of ${MAX_POINTS.toLocaleString('en')} points per timeseries. Try decreasing the query resolution (?step=XX)`,
    );
  if (expression.kind === 'text' || (expression.kind === 'selector' && expression.rangeMs !== undefined))
    throw badData(
      `invalid expression type "${expression.kind === 'text' ? 'string' : 'range vector'}" for range query, must be Scalar or instant Vector`,
    );
  const { samples, warnings } = await fetch(wantedFor(expression, startMs, endMs), signal);
  const evaluate = createEvaluator(samples);
  const collected = createCollector();
  let sliceMs = performance.now();
  for (let atMs = startMs; atMs <= endMs; atMs += stepMs) {
    collected.add(evaluate(expression, atMs), atMs);
    if (performance.now() - sliceMs < SLICE_MS) continue;
    await new Promise(resolve => setImmediate(resolve));
    if (signal.aborted) throw new QueryError('timeout', 'query timed out in expression evaluation');
    sliceMs = performance.now();
  }
  return { answer: { kind: 'matrix', series: collected.series() }, warnings };
}

function wantedFor(expression: Expression, startMs: number, endMs: number): readonly Wanted[] {
  return selectorsOf(expression).map(selector => ({
    selector,
    startMs: startMs - selector.offsetMs - (selector.rangeMs ?? LOOKBACK_MS),
    endMs: endMs - selector.offsetMs,
  }));
}

function answerOf(value: Value, atMs: number): Answer {
  if (value.kind === 'scalar') return { kind: 'scalar', atMs, value: value.value };
  if (value.kind === 'text') return { kind: 'string', atMs, value: value.value };
  requireDistinct(value.elements);
  return { kind: 'vector', atMs, elements: value.elements };
}

function requireDistinct(elements: readonly Element[]): void {
  const keys = new Set(elements.map(({ labels }) => keyOf(labels)));
  if (keys.size < elements.length)
    throw new QueryError('execution', 'vector cannot contain metrics with the same labelset');
}

function rawSamples(selector: Selector, samples: Samples, atMs: number): Answer {
  const endMs = atMs - selector.offsetMs;
  const series = (samples.get(selector) ?? []).map(one => within(one, endMs - (selector.rangeMs ?? 0), endMs));
  return { kind: 'matrix', series: series.filter(({ timesMs }) => timesMs.length > 0) };
}

function within({ labels, timesMs, values }: SampledSeries, startMs: number, endMs: number): Points {
  const from = firstNotBefore(timesMs, startMs);
  const to = firstNotBefore(timesMs, endMs + 1);
  return { labels, timesMs: [...timesMs.subarray(from, to)], values: [...values.subarray(from, to)] };
}

interface Collected {
  readonly labels: LabelSet;
  readonly timesMs: number[];
  readonly values: number[];
}

function createCollector(): { add(value: Value, atMs: number): void; series(): readonly Points[] } {
  const byKey = new Map<string, Collected>();
  // The same set of labels is the same object from step to step, mostly.
  const byLabels = new WeakMap<LabelSet, Collected>();
  let points = 0;

  function placeOf(labels: LabelSet): Collected {
    let place = byLabels.get(labels);
    if (place !== undefined) return place;
    const key = keyOf(labels);
    place = byKey.get(key) ?? { labels, timesMs: [], values: [] };
    byKey.set(key, place);
    byLabels.set(labels, place);
    return place;
  }

  return {
    add: (value, atMs) => {
      if (value.kind === 'text') return;
      const elements = value.kind === 'vector' ? value.elements : [{ labels: NO_LABELS, value: value.value }];
      points += elements.length;
      if (points > MAX_ALL_POINTS)
        throw new QueryError('execution', `the answer has more than ${MAX_ALL_POINTS} points`);
      for (const element of elements) {
        const { timesMs, values } = placeOf(element.labels);
        if (timesMs.at(-1) === atMs)
          throw new QueryError('execution', 'vector cannot contain metrics with the same labelset');
        timesMs.push(atMs);
        values.push(element.value);
      }
    },
    series: () => [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, series]) => series),
  };
}
