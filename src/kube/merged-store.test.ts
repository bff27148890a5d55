import { expect, it } from 'vitest';
import { podKey } from '../kernel/index.ts';
import { mergedStore } from './merged-store.ts';
import { createStore } from './store.ts';

const entry = (value: string) => ({ value, resourceVersion: value });

it('shows the objects of all parts, and the same Map until one of them changes', () => {
  const parts = [createStore<string>(), createStore<string>()] as const;
  const [first, second] = parts;
  const whole = mergedStore(parts);
  const changes: string[] = [];
  const unsubscribe = whole.onChange(({ key, after }) => changes.push(`${key} ${after ?? 'gone'}`));
  expect([whole.size, whole.snapshot().size]).toEqual([0, 0]);
  const [a, b] = [podKey('one', 'a'), podKey('two', 'b')];
  first.set(a, entry('1'));
  second.set(b, entry('2'));
  expect([...whole.snapshot()]).toEqual([
    [a, '1'],
    [b, '2'],
  ]);
  expect([whole.get(a), whole.get(b), whole.size]).toEqual(['1', '2', 2]);
  const before = whole.snapshot();
  second.set(b, entry('2'));
  expect(whole.snapshot()).toBe(before);
  second.delete(b);
  expect([...whole.snapshot().keys()]).toEqual([a]);
  unsubscribe();
  first.delete(a);
  expect(changes).toEqual([`${a} 1`, `${b} 2`, `${b} gone`]);
});
