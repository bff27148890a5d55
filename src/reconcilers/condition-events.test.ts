import { describe, expect, it } from 'vitest';
import { objectKey } from '../kernel/index.ts';
import type { Condition, ConditionPlan, EventText, StatusOutcome } from '../kube/index.ts';
import { eventOf, withEvents } from './condition-events.ts';

const plan = (type: string, status: ConditionPlan['status'], reason: string, message = ''): ConditionPlan => ({
  type,
  status,
  reason,
  message,
});
const stored = (condition: ConditionPlan): Condition => ({
  ...condition,
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const accepted = plan('Accepted', 'True', 'Accepted');
const invalid = plan('Accepted', 'False', 'Invalid', 'spec.service is wrong');
const conflicted = plan('Accepted', 'False', 'Conflicted');
const pending = plan('IssuerReady', 'False', 'IssuerPending');
const issued = plan('IssuerReady', 'True', 'Issued', 'Signing.');
const missing = plan('IssuerReady', 'False', 'CertManagerMissing');
const failing = plan('IssuerReady', 'True', 'RenewalFailing');
const unresolved = plan('ResolvedRefs', 'False', 'BackendNotFound');

describe('eventOf', () => {
  it.each<[string, ConditionPlan | undefined, ConditionPlan, string | undefined]>([
    ['a new object that is accepted', undefined, accepted, undefined],
    ['a new object that is refused', undefined, invalid, 'Warning Invalid'],
    ['accepted, then refused', accepted, invalid, 'Warning Invalid'],
    ['refused, as before', invalid, { ...invalid, message: 'other words' }, undefined],
    ['refused for another reason', invalid, conflicted, 'Warning Conflicted'],
    ['accepted again', invalid, accepted, 'Normal Accepted'],
    ['an issuer on its way', undefined, pending, undefined],
    ['an issuer that nobody makes', pending, missing, 'Warning CertManagerMissing'],
    ['an issuer on its way after trouble', missing, pending, undefined],
    ['an issuer that cannot be renewed', issued, failing, 'Warning RenewalFailing'],
    ['an issuer that is well again', failing, issued, 'Normal Issued'],
    ['a first issuer', pending, issued, undefined],
    ['a reference that does not resolve', undefined, unresolved, undefined],
  ])('%s', (_, before, after, want) => {
    const event = eventOf(before === undefined ? undefined : stored(before), after);
    expect(event && `${event.type} ${event.reason}`).toBe(want);
  });
});

describe('a status writer with events', () => {
  it.each([
    ['written', 1],
    ['gated', 0],
    ['unchanged', 0],
  ] as const)('whose write is %s tells %i', async (kind, want) => {
    const told: EventText[] = [];
    const inner = { write: (): Promise<StatusOutcome> => Promise.resolve({ kind }), forget: () => {} };
    const writer = withEvents(inner, { record: (_, text) => void told.push(text) });
    const key = objectKey({ group: 'policy.linkerd.io', kind: 'Server', namespace: 'demo', name: 'web' });
    const type = {
      group: 'policy.linkerd.io',
      version: 'v1beta3',
      plural: 'servers',
      kind: 'Server',
      namespaced: true,
    };
    const { signal } = new AbortController();
    const conditions = [invalid, unresolved];
    await writer.write({ key, type, uid: 'u', plan: { observedGeneration: 1, conditions }, current: [], signal });
    expect(told.map(({ note }) => note)).toEqual(Array.from({ length: want }, () => 'spec.service is wrong'));
  });
});
