import { describe, expect, it } from 'vitest';
import type { ObjectMeta } from '../model/index.ts';
import { byPrecedence } from './order.ts';

const meta = (creationTimestamp: string, namespace: string, name: string): ObjectMeta => ({
  name,
  namespace,
  uid: '',
  generation: 1,
  creationTimestamp,
  labels: {},
  annotations: {},
  resourceVersion: '',
});

describe('byPrecedence', () => {
  it('puts the older first, then namespace, then name; what is not stored yet comes last', () => {
    const wanted = [
      meta('2025-12-31T23:59:59Z', 'z', 'z'),
      meta('2026-01-01T00:00:00Z', 'a', 'a'),
      meta('2026-01-01T00:00:00Z', 'a', 'b'),
      meta('2026-01-01T00:00:00Z', 'b', 'a'),
      meta('', 'a', 'a'),
    ];
    expect(wanted.toReversed().toSorted(byPrecedence)).toEqual(wanted);
  });
});
