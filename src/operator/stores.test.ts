import { describe, expect, it } from 'vitest';
import { concernsCompile } from './stores.ts';

const anObject = (changes: object = {}, meta: object = {}) => ({
  key: 'weft.dev/Server/demo/web',
  meta: { name: 'web', resourceVersion: '1', labels: { identity: 'a', conditions: 'b' }, ...meta },
  spec: { port: 80, identity: 'x' },
  conditions: [],
  ...changes,
});

describe('concernsCompile', () => {
  it.each([
    { name: 'a new object', before: undefined, after: anObject(), want: true },
    { name: 'an object that is gone', before: anObject(), after: undefined, want: true },
    {
      name: 'a new resource version alone',
      before: anObject(),
      after: anObject({}, { resourceVersion: '2' }),
      want: false,
    },
    { name: 'new conditions', before: anObject(), after: anObject({ conditions: [{ type: 'Ready' }] }), want: false },
    { name: 'a new spec', before: anObject(), after: anObject({ spec: { port: 81 } }), want: true },
    {
      name: 'a new label, whatever its name',
      before: anObject(),
      after: anObject({}, { labels: { identity: 'c', conditions: 'b' } }),
      want: true,
    },
    {
      name: 'a spec field that is named like one of the status',
      before: anObject(),
      after: anObject({ spec: { port: 80, identity: 'y' } }),
      want: true,
    },
  ])('$name: $want', ({ before, after, want }) => {
    expect(concernsCompile(before, after)).toBe(want);
  });
});
