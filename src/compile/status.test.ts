import { describe, expect, it } from 'vitest';
import type { Condition, StatusPlan } from '../model/index.ts';
import { conditionsOf, programmed, ready, setCondition } from './index.ts';

const NOW = Date.parse('2026-01-02T03:04:05.678Z');
const condition = (parts: Partial<Condition>): Condition => ({
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: '',
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
  ...parts,
});

describe('setCondition', () => {
  it('adds a condition with the time of now in whole seconds', () => {
    expect(setCondition([], condition({}), NOW)).toEqual([condition({ lastTransitionTime: '2026-01-02T03:04:05Z' })]);
  });

  it('keeps the time while the status stays, whatever else changes', () => {
    const next = condition({ reason: 'Other', message: 'new', observedGeneration: 2 });
    expect(setCondition([condition({})], next, NOW)).toEqual([next]);
  });

  it('takes the time of now when the status flips, and keeps the place and the others', () => {
    const others = [condition({ type: 'A' }), condition({}), condition({ type: 'Z' })];
    const got = setCondition(others, condition({ status: 'False' }), NOW);
    expect(got).toEqual([
      others[0],
      condition({ status: 'False', lastTransitionTime: '2026-01-02T03:04:05Z' }),
      others[2],
    ]);
  });
});

describe('programmed', () => {
  const holders = (total: number, acknowledged: number, silent: readonly string[] = []) => ({
    total,
    ready: acknowledged,
    silent,
  });
  it.each([
    [
      'is true when no proxy needs the object',
      holders(0, 0),
      undefined,
      'True',
      'NoProxyNeedsIt',
      'No proxy needs it.',
    ],
    [
      'is false while something of it is too large to be sent, whatever proxies have of the rest',
      { ...holders(42, 42), tooLarge: ['outbound/10.0.0.1:80 takes too much.', 'workload takes too much.'] },
      condition({ type: 'Programmed', reason: 'Programmed', observedGeneration: 7 }),
      'False',
      'TooLarge',
      'outbound/10.0.0.1:80 takes too much. workload takes too much.',
    ],
    ['is true when all have it', holders(42, 42), undefined, 'True', 'Programmed', '42/42 proxies at generation 7.'],
    [
      'is false while one does not have it',
      holders(42, 41),
      undefined,
      'False',
      'Pending',
      '41/42 proxies at generation 7.',
    ],
    [
      'names the silent, which block nothing',
      holders(3, 2, ['demo/a']),
      undefined,
      'True',
      'Programmed',
      '2/3 proxies at generation 7; silent: demo/a.',
    ],
    [
      'is false while one that is not silent does not have it',
      holders(3, 1, ['demo/a']),
      undefined,
      'False',
      'Pending',
      '1/3 proxies at generation 7; silent: demo/a.',
    ],
    [
      'names no more than a few',
      holders(7, 0, ['a', 'b', 'c', 'd', 'e', 'f', 'g']),
      undefined,
      'True',
      'Programmed',
      '0/7 proxies at generation 7; silent: a, b, c, d, e and 2 more.',
    ],
    [
      'stays true for a generation that was programmed',
      holders(3, 2),
      condition({ reason: 'Programmed', observedGeneration: 7 }),
      'True',
      'Programmed',
      '2/3 proxies at generation 7.',
    ],
    [
      'turns false for a new generation',
      holders(3, 2),
      condition({ reason: 'Programmed', observedGeneration: 6 }),
      'False',
      'Pending',
      '2/3 proxies at generation 7.',
    ],
    [
      'turns false when the first proxies come to need it',
      holders(3, 2),
      condition({ reason: 'NoProxyNeedsIt', observedGeneration: 7 }),
      'False',
      'Pending',
      '2/3 proxies at generation 7.',
    ],
  ] as const)('%s', (_, seen, previous, ...[status, reason, message]) => {
    expect(programmed(seen, 7, previous)).toEqual({ type: 'Programmed', status, reason, message });
  });
});

describe('ready', () => {
  it('is true when everything else is', () => {
    expect(ready([condition({}), condition({ type: 'Programmed' })])).toMatchObject({
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
    });
  });

  it('says what the first condition says that is false, before one that is unknown', () => {
    const conditions = [
      condition({ status: 'Unknown', reason: 'U' }),
      condition({ status: 'False', reason: 'F', message: 'why' }),
    ];
    expect(ready(conditions)).toMatchObject({ type: 'Ready', status: 'False', reason: 'F', message: 'why' });
  });
});

describe('conditionsOf', () => {
  const plan: StatusPlan = {
    observedGeneration: 3,
    conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: '' }],
  };
  const seen = { holders: { total: 1, ready: 1, silent: [] }, nowMs: NOW };

  it('adds Programmed and Ready, and the generation to all', () => {
    const written = conditionsOf(plan, { ...seen, previous: [] });
    expect(written.map(({ type, status, observedGeneration }) => [type, status, observedGeneration])).toEqual([
      ['Accepted', 'True', 3],
      ['Programmed', 'True', 3],
      ['Ready', 'True', 3],
    ]);
  });

  it('is equal to what is written already when nothing has changed, however late it is', () => {
    const written = conditionsOf(plan, { ...seen, previous: [] });
    expect(conditionsOf(plan, { ...seen, previous: written, nowMs: NOW + 3_600_000 })).toEqual(written);
  });
});
