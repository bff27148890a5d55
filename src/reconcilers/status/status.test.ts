import { describe, expect, it } from 'vitest';
import { objectKey } from '../../kernel/index.ts';
import type { Condition, ConditionPlan, CustomObject, Holders, StatusPlan } from '../../model/index.ts';
import { decide } from './decide.ts';
import { gather } from './gather.ts';
import { changedPlans } from './map.ts';

const KEY = objectKey({ group: 'policy.linkerd.io', kind: 'Server', namespace: 'demo', name: 'web' });
const accepted: ConditionPlan = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' };
const resolved: ConditionPlan = { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' };
const aPlan = (observedGeneration = 3, conditions = [accepted, resolved]): StatusPlan => ({
  observedGeneration,
  conditions,
});
const someHolders = (total: number, ready: number, silent: readonly string[] = []): Holders => ({
  total,
  ready,
  silent,
});
const stored = (plan: ConditionPlan, observedGeneration = 3): Condition => ({
  ...plan,
  observedGeneration,
  lastTransitionTime: '2026-11-20T09:00:00Z',
});
const anObject = (generation = 3, conditions: readonly Condition[] = []): CustomObject => ({
  key: KEY,
  apiVersion: 'policy.linkerd.io/v1beta3',
  kind: 'Server',
  meta: {
    name: 'web',
    namespace: 'demo',
    uid: 'u',
    generation,
    creationTimestamp: '',
    labels: {},
    annotations: {},
    resourceVersion: '1',
  },
  spec: {},
  conditions,
});

const summary = (plan: StatusPlan, holders: Holders, conditions: readonly Condition[] = []) =>
  decide({ object: anObject(), plan, holders, stored: conditions }).conditions.map(
    ({ type, status, reason }) => `${type} ${status} ${reason}`,
  );

describe('decide', () => {
  it.each([
    {
      name: 'no proxy needs it',
      holders: someHolders(0, 0),
      want: ['Programmed True NoProxyNeedsIt', 'Ready True Ready'],
    },
    {
      name: 'every proxy has it',
      holders: someHolders(2, 2),
      want: ['Programmed True Programmed', 'Ready True Ready'],
    },
    {
      name: 'a proxy is missing',
      holders: someHolders(2, 1),
      want: ['Programmed False Pending', 'Ready False Pending'],
    },
    {
      name: 'the missing proxy is silent',
      holders: someHolders(2, 1, ['demo/a']),
      want: ['Programmed True Programmed', 'Ready True Ready'],
    },
  ])('says so when $name', ({ holders, want }) => {
    expect(summary(aPlan(), holders)).toEqual(['Accepted True Accepted', 'ResolvedRefs True ResolvedRefs', ...want]);
  });

  it('does not take Programmed back because another proxy comes, but does for a new generation', () => {
    const programmed = stored({ type: 'Programmed', status: 'True', reason: 'Programmed', message: '' });
    expect(summary(aPlan(3), someHolders(3, 2), [programmed])).toContain('Programmed True Programmed');
    expect(summary(aPlan(4), someHolders(3, 2), [programmed])).toContain('Programmed False Pending');
  });

  it('is not ready while the issuer of the mesh is not, and leaves that condition to its writer', () => {
    const issuer = stored({
      type: 'IssuerReady',
      status: 'False',
      reason: 'CertManagerMissing',
      message: 'install it',
    });
    const lines = summary(aPlan(), someHolders(0, 0), [issuer]);
    expect(lines).toContain('Ready False CertManagerMissing');
    expect(lines.some(line => line.startsWith('IssuerReady'))).toBe(false);
  });
});

describe('gather', () => {
  const ports = (object: CustomObject | undefined, plan: StatusPlan | undefined) => ({
    object: () => object,
    plan: () => plan,
    registry: { holders: () => someHolders(1, 1) },
  });

  it('waits for the publication that has seen the newest generation', () => {
    expect(gather(KEY, ports(anObject(4), aPlan(3)))).toBeUndefined();
    expect(gather(KEY, ports(anObject(4), aPlan(4)))).toMatchObject({ holders: { total: 1 } });
  });

  it('has nothing for an object that is gone or was never compiled', () => {
    expect(gather(KEY, ports(undefined, aPlan()))).toBeUndefined();
    expect(gather(KEY, ports(anObject(), undefined))).toBeUndefined();
  });
});

describe('changedPlans', () => {
  const plans = (plan: StatusPlan) => new Map([[KEY, plan]]);

  it.each([
    { name: 'a new object', before: new Map(), after: plans(aPlan()), want: [KEY] },
    { name: 'an equal plan', before: plans(aPlan()), after: plans(aPlan()), want: [] },
    { name: 'a new generation', before: plans(aPlan(3)), after: plans(aPlan(4)), want: [KEY] },
    {
      name: 'a new reason',
      before: plans(aPlan()),
      after: plans(aPlan(3, [accepted, { ...resolved, reason: 'Other' }])),
      want: [KEY],
    },
    { name: 'one condition less', before: plans(aPlan()), after: plans(aPlan(3, [accepted])), want: [KEY] },
    { name: 'an object that is gone', before: plans(aPlan()), after: new Map(), want: [] },
  ])('$name', ({ before, after, want }) => {
    expect(changedPlans(before, after)).toEqual(want);
  });
});
