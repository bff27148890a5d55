import { describe, expect, it } from 'vitest';
import { type Condition, type ConditionPlan, planStatus, setCondition, truncateMessage } from './conditions.ts';

const AT = Date.parse('2026-11-20T10:00:00.750Z');
const accepted = (changes: Partial<ConditionPlan> = {}): ConditionPlan => ({
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: 'fine',
  ...changes,
});
const stored = (changes: Partial<Condition> = {}): Condition => ({
  ...accepted(),
  observedGeneration: 3,
  lastTransitionTime: '2026-11-20T09:00:00Z',
  ...changes,
});

describe('setCondition', () => {
  it.each([
    {
      name: 'a new condition gets the time of now',
      current: undefined,
      plan: accepted(),
      time: '2026-11-20T10:00:00Z',
    },
    {
      name: 'a flip gets the time of now',
      current: stored(),
      plan: accepted({ status: 'False' }),
      time: '2026-11-20T10:00:00Z',
    },
    {
      name: 'a new message keeps the time',
      current: stored(),
      plan: accepted({ message: 'other' }),
      time: '2026-11-20T09:00:00Z',
    },
    {
      name: 'a new reason keeps the time',
      current: stored(),
      plan: accepted({ reason: 'Other' }),
      time: '2026-11-20T09:00:00Z',
    },
  ])('$name', ({ current, plan, time }) => {
    expect(setCondition(current, plan, { generation: 4, nowMs: AT })).toEqual({
      ...plan,
      observedGeneration: 4,
      lastTransitionTime: time,
    });
  });

  it('cuts a message at the limit of the schema and says that it did', () => {
    const long = truncateMessage('x'.repeat(40_000));
    expect(long).toHaveLength(32_768);
    expect(long.endsWith('…')).toBe(true);
    expect(truncateMessage('short')).toBe('short');
  });
});

describe('planStatus', () => {
  const plan = (changes: Partial<ConditionPlan> = {}, observedGeneration = 3) => ({
    observedGeneration,
    conditions: [accepted(changes)],
  });
  const base = { current: [stored()], lastWriteMs: AT - 1000, nowMs: AT, quietMs: 5000 };

  it.each([
    { name: 'nothing when all is as stored', given: { ...base, plan: plan() }, kind: 'none' },
    {
      name: 'a flip at once, however recent the last write',
      given: { ...base, plan: plan({ status: 'False' }) },
      kind: 'write',
    },
    { name: 'a newly observed generation at once', given: { ...base, plan: plan({}, 4) }, kind: 'write' },
    {
      name: 'a new text later, when the last write was a moment ago',
      given: { ...base, plan: plan({ message: '41/42' }) },
      kind: 'later',
    },
    {
      name: 'a new text now, when the quiet time is over',
      given: { ...base, lastWriteMs: AT - 5000, plan: plan({ message: '41/42' }) },
      kind: 'write',
    },
    {
      name: 'a new text now, when nothing was written yet',
      given: { ...base, lastWriteMs: undefined, plan: plan({ message: '41/42' }) },
      kind: 'write',
    },
    { name: 'a new condition at once', given: { ...base, current: [], plan: plan() }, kind: 'write' },
    {
      name: "nothing for another writer's condition",
      given: { ...base, current: [stored(), stored({ type: 'Other' })], plan: plan() },
      kind: 'none',
    },
  ])('writes $name', ({ given, kind }) => {
    expect(planStatus(given).kind).toBe(kind);
  });

  it('says how long to wait', () => {
    expect(planStatus({ ...base, plan: plan({ message: '41/42' }) })).toEqual({ kind: 'later', afterMs: 4000 });
  });
});
