import { describe, expect, it } from 'vitest';
import { type Answer, answerAt, answerRange, type Fetch } from './engine.ts';
import { keyOf, labelSet } from './labels.ts';
import { createTest } from './matching.ts';
import { parseQuery, parseSelector } from './parse.ts';
import type { SampledSeries } from './value.ts';

const NOW_MS = 1_800_000_000_000;

/** One sample every ten seconds; the last is at NOW_MS. */
function aSeries(labels: Record<string, string>, values: readonly number[]): SampledSeries {
  return {
    labels: labelSet(Object.entries(labels)),
    timesMs: Float64Array.from(values, (_, index) => NOW_MS - (values.length - 1 - index) * 10_000),
    values: Float64Array.from(values),
  };
}

const ramp = (perStep: number, steps = 31, from = 0): number[] =>
  Array.from({ length: steps }, (_, index) => from + index * perStep);

const SERIES = [
  aSeries(
    { __name__: 'response_total', namespace: 'test', deployment: 'podinfo', pod: 'a', classification: 'success' },
    ramp(90),
  ),
  aSeries(
    { __name__: 'response_total', namespace: 'test', deployment: 'podinfo', pod: 'a', classification: 'failure' },
    ramp(10),
  ),
  aSeries(
    {
      __name__: 'response_total',
      namespace: 'test',
      deployment: 'podinfo-primary',
      pod: 'b',
      classification: 'success',
    },
    ramp(50),
  ),
  aSeries({ __name__: 'lat_bucket', le: '10' }, ramp(5)),
  aSeries({ __name__: 'lat_bucket', le: '100' }, ramp(9)),
  aSeries({ __name__: 'lat_bucket', le: '+Inf' }, ramp(10)),
  aSeries({ __name__: 'reset' }, [0, 10, 20, 30, 5, 15, 25]),
  aSeries({ __name__: 'replicas', deployment: 'podinfo' }, ramp(0, 31, 2)),
  aSeries({ __name__: 'replicas', deployment: 'podinfo-primary' }, ramp(0, 31, 4)),
];

const fetch: Fetch = async wanted =>
  await Promise.resolve({
    warnings: [],
    samples: new Map(
      wanted.map(({ selector }) => {
        const fits = createTest(selector.matchers);
        return [selector, SERIES.filter(({ labels }) => fits(name => labels.get(name) ?? ''))];
      }),
    ),
  });

const signal = new AbortController().signal;
const ask = async (query: string, atMs = NOW_MS): Promise<Answer> =>
  (await answerAt(parseQuery(query), atMs, fetch, signal)).answer;

/** `labels => value`, by labels. */
async function vector(query: string): Promise<Record<string, number>> {
  const answer = await ask(query);
  if (answer.kind !== 'vector') throw new Error(`a ${answer.kind}`);
  return Object.fromEntries(
    answer.elements.map(({ labels, value }) => [
      [...labels].map(([name, text]) => `${name}=${text}`).join(','),
      Math.round(value * 1e6) / 1e6,
    ]),
  );
}

describe('PromQL', () => {
  const cases: readonly { readonly query: string; readonly want: Record<string, number> }[] = [
    { query: 'vector(1)', want: { '': 1 } },
    {
      query:
        'sum(rate(response_total{namespace="test",deployment=~"podinfo",classification!="failure"}[1m])) / sum(rate(response_total{namespace="test",deployment=~"podinfo"}[1m])) * 100',
      want: { '': 90 },
    },
    { query: 'histogram_quantile(0.5, sum(rate(lat_bucket[1m])) by (le))', want: { '': 10 } },
    { query: 'histogram_quantile(0.9, sum(rate(lat_bucket[1m])) by (le))', want: { '': 100 } },
    { query: 'histogram_quantile(0.99, sum by (le) (rate(lat_bucket[1m])))', want: { '': 100 } },
    { query: 'increase(reset[1m])', want: { '': 55 } },
    { query: 'rate(reset[20s])', want: { '': 1 } },
    { query: 'irate(reset[1m])', want: { '': 1 } },
    { query: 'resets(reset[1m])', want: { '': 1 } },
    { query: 'max_over_time(reset[1m])', want: { '': 30 } },
    { query: 'reset offset 30s', want: { '__name__=reset': 30 } },
    {
      query: 'count(response_total) by (deployment)',
      want: { 'deployment=podinfo': 2, 'deployment=podinfo-primary': 1 },
    },
    {
      query: 'sum without (pod, namespace, classification) (response_total)',
      want: { 'deployment=podinfo': 3_000, 'deployment=podinfo-primary': 1_500 },
    },
    {
      query: 'topk(1, response_total)',
      want: { '__name__=response_total,classification=success,deployment=podinfo,namespace=test,pod=a': 2_700 },
    },
    {
      query: 'response_total{pod=~"a|b",classification="success"} > 2000',
      want: { '__name__=response_total,classification=success,deployment=podinfo,namespace=test,pod=a': 2_700 },
    },
    { query: 'sum(response_total) > bool 1', want: { '': 1 } },
    {
      query: 'sum by (deployment) (response_total) / on(deployment) replicas',
      want: { 'deployment=podinfo': 1_500, 'deployment=podinfo-primary': 375 },
    },
    {
      query: 'response_total * on(deployment) group_left replicas',
      want: {
        'classification=success,deployment=podinfo,namespace=test,pod=a': 5_400,
        'classification=failure,deployment=podinfo,namespace=test,pod=a': 600,
        'classification=success,deployment=podinfo-primary,namespace=test,pod=b': 6_000,
      },
    },
    { query: 'sum(nothing) or vector(0)', want: { '': 0 } },
    {
      query: 'replicas and on(deployment) response_total{classification="failure"}',
      want: { '__name__=replicas,deployment=podinfo': 2 },
    },
    {
      query: 'replicas unless on(deployment) response_total{classification="failure"}',
      want: { '__name__=replicas,deployment=podinfo-primary': 4 },
    },
    { query: 'clamp_max(replicas{deployment="podinfo-primary"}, 3)', want: { 'deployment=podinfo-primary': 3 } },
    {
      query: 'label_replace(replicas{deployment="podinfo"}, "app", "x-$1", "deployment", "(pod).*")',
      want: { '__name__=replicas,app=x-pod,deployment=podinfo': 2 },
    },
    { query: '-sum(replicas)', want: { '': -6 } },
    { query: 'absent(nothing{a="b"})', want: { 'a=b': 1 } },
    { query: 'vector(scalar(sum(replicas)) + 2 ^ 3 % 5)', want: { '': 9 } },
  ];
  it.each(cases)('answers $query', async ({ query, want }) => {
    expect(await vector(query)).toEqual(want);
  });

  it('answers a number, a text and raw samples as what they are', async () => {
    expect(await ask('1 + 2')).toEqual({ kind: 'scalar', atMs: NOW_MS, value: 3 });
    expect(await ask('"a\\n"')).toEqual({ kind: 'string', atMs: NOW_MS, value: 'a\n' });
    expect(await ask('time()')).toEqual({ kind: 'scalar', atMs: NOW_MS, value: NOW_MS / 1_000 });
    const raw = await ask('reset[20s]');
    expect(raw.kind === 'matrix' ? raw.series.map(({ values }) => values) : raw).toEqual([[5, 15, 25]]);
  });

  it('extrapolates a rate to the ends of the range, but never to before a counter was zero', async () => {
    // Samples at 0, 10 and 20 s before; the range reaches 5 s further on either side of them.
    const series = aSeries({ __name__: 'x' }, [1_000, 1_010, 1_020]);
    const young = aSeries({ __name__: 'x' }, [0, 10, 20]);
    const at = async (one: SampledSeries) => {
      const { answer } = await answerAt(
        parseQuery('increase(x[30s])'),
        NOW_MS + 5_000,
        async wanted =>
          await Promise.resolve({ warnings: [], samples: new Map(wanted.map(({ selector }) => [selector, [one]])) }),
        signal,
      );
      return answer.kind === 'vector' ? answer.elements[0]?.value : undefined;
    };
    expect(await at(series)).toBeCloseTo(30, 9);
    expect(await at(young)).toBeCloseTo(25, 9);
  });

  it('answers a range at every step', async () => {
    const range = { startMs: NOW_MS - 20_000, endMs: NOW_MS, stepMs: 10_000 };
    const { answer } = await answerRange(parseQuery('sum(reset)'), range, fetch, signal);
    expect(answer).toEqual({
      kind: 'matrix',
      series: [{ labels: new Map(), timesMs: [NOW_MS - 20_000, NOW_MS - 10_000, NOW_MS], values: [5, 15, 25] }],
    });
  });

  it('refuses too many points, and an end before the start', async () => {
    const ask = async (range: { startMs: number; endMs: number; stepMs: number }) =>
      await answerRange(parseQuery('vector(1)'), range, fetch, signal);
    await expect(ask({ startMs: 0, endMs: 11_001_000, stepMs: 1_000 })).rejects.toThrow(
      'exceeded maximum resolution of 11,000 points',
    );
    await expect(ask({ startMs: 0, endMs: 11_000_000, stepMs: 1_000 })).resolves.toBeDefined();
    await expect(ask({ startMs: 1, endMs: 0, stepMs: 1 })).rejects.toThrow(
      'end timestamp must not be before start time',
    );
  });

  it.each([
    ['rate(x[5m:1m])', 'a subquery is not supported'],
    ['x @ 3', 'the modifier @ is not supported'],
    ['stddev(x)', 'the aggregation stddev is not supported'],
    ['predict_linear(x[1m], 3)', 'function predict_linear is not supported'],
    ['sum(', 'parse error'],
    ['', 'no expression found'],
    ['rate(x)', 'expected type range vector in call to function "rate", got instant vector'],
    ['x[1m]) by', 'parse error'],
    ['{}', 'at least one non-empty matcher'],
    ['{a=~".*"}', 'at least one non-empty matcher'],
    ['x{a=~"("}', 'error parsing regexp'],
    ['x{a=~"(?=b)"}', 'error parsing regexp'],
    ['1 == 2', 'must use BOOL'],
    ['1 and x', 'set operator "and" not allowed'],
    ['sum(x[1m])', 'got range vector'],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, 'nested deeper'],
    [`x{a="${'b'.repeat(17_000)}"}`, 'longer than'],
  ])('refuses %s and says why', (query, why) => {
    expect(() => parseQuery(query)).toThrow(why);
  });

  it('refuses a match that is ambiguous', async () => {
    await expect(vector('response_total / on(deployment) replicas')).rejects.toThrow(
      'many-to-one matching must be explicit',
    );
    await expect(vector('replicas / on() replicas')).rejects.toThrow('many-to-many matching not allowed');
  });

  it('matches expressions in linear time', () => {
    const fits = createTest([{ name: 'a', operator: '=~', value: '(a*)*b' }]);
    expect(fits(() => 'a'.repeat(5_000))).toBe(false);
    expect(fits(() => `${'a'.repeat(5_000)}b`)).toBe(true);
  });

  it('reads selectors alone', () => {
    expect(parseSelector('up{a="b"}').matchers).toEqual([
      { name: '__name__', operator: '=', value: 'up' },
      { name: 'a', operator: '=', value: 'b' },
    ]);
    expect(() => parseSelector('sum(up)')).toThrow('must be a series selector');
  });

  it('keys label sets so that different ones never collide', () => {
    expect(
      keyOf(
        labelSet([
          ['a', 'b'],
          ['c', 'd'],
        ]),
      ),
    ).toBe(
      keyOf(
        labelSet([
          ['c', 'd'],
          ['a', 'b'],
          ['e', ''],
        ]),
      ),
    );
    expect(keyOf(labelSet([['a', 'bc']]))).not.toBe(keyOf(labelSet([['ab', 'c']])));
  });
});
