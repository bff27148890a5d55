import { expect, it } from 'vitest';
import type { RawObject } from '../../kube/index.ts';
import { inForce, weightOf } from './route.ts';

const split = (conditions: readonly object[], backends: readonly object[] = []): RawObject => ({
  apiVersion: 'split.smi-spec.io/v1alpha4',
  kind: 'TrafficSplit',
  metadata: { name: 'web', namespace: 'demo', generation: 3 },
  spec: { service: 'web', backends },
  status: { conditions },
});
const condition = (type: string, more: object = {}) => ({
  type,
  status: 'True',
  reason: type,
  message: '',
  observedGeneration: 3,
  ...more,
});
const all = (...more: readonly object[]) =>
  ['Accepted', 'ResolvedRefs', 'Programmed']
    .map(type => more.find(one => (one as { type: string }).type === type) ?? condition(type))
    .toReversed();

it.each([
  { name: 'every proxy has it', conditions: all(), ok: true },
  { name: 'there are no conditions yet', conditions: [], ok: false },
  {
    name: 'proxies have not acknowledged it',
    conditions: all(condition('Programmed', { status: 'False' })),
    ok: false,
  },
  {
    name: 'the conditions are of the generation before',
    conditions: all(condition('Programmed', { observedGeneration: 2 })),
    ok: false,
  },
  {
    name: 'a Service is missing',
    conditions: all(condition('ResolvedRefs', { status: 'False', reason: 'BackendNotFound' })),
    ok: false,
  },
  {
    name: 'the root has further ports',
    conditions: all(condition('ResolvedRefs', { status: 'False', reason: 'PortMismatch' })),
    ok: true,
  },
])('whether a split is in force when $name', ({ conditions, ok }) => {
  expect(inForce(split(conditions)).ok).toBe(ok);
});

it('a split that is not there is not in force', () => {
  expect(inForce(undefined)).toEqual({ ok: false, why: 'there is no TrafficSplit' });
});

it.each([
  { backends: { 'web-canary': 20, 'web-primary': 80 }, weight: 20 },
  { backends: { 'web-canary': 1, 'web-primary': 3 }, weight: 25 },
  { backends: { 'web-canary': '0', 'web-primary': '100' }, weight: 0 },
  { backends: { 'web-canary': 0, 'web-primary': 0 }, weight: 0 },
  { backends: {}, weight: 0 },
])('the share of the canary in $backends is $weight', ({ backends, weight }) => {
  const list = Object.entries(backends).map(([service, share]) => ({ service, weight: share }));
  expect(weightOf(split([], list), 'web')).toBe(weight);
});
