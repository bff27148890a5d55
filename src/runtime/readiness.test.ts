import { describe, expect, it } from 'vitest';
import { createReadiness } from './readiness.ts';

describe('readiness', () => {
  it('is ready when every named task has finished, and names what is missing until then', () => {
    const readiness = createReadiness();
    const stores = readiness.task('stores', 'waiting for pods');
    const compile = readiness.task('compile');
    expect(readiness.pending()).toEqual(['compile', 'stores: waiting for pods']);
    stores.finish();
    expect({ ready: readiness.ready, pending: readiness.pending() }).toEqual({ ready: false, pending: ['compile'] });
    compile.finish();
    expect({ ready: readiness.ready, pending: readiness.pending() }).toEqual({ ready: true, pending: [] });
  });

  it('tells listeners of flips only', () => {
    const readiness = createReadiness();
    const flips: boolean[] = [];
    const task = readiness.task('a');
    const other = readiness.task('b');
    const unsubscribe = readiness.onChange(ready => flips.push(ready));
    task.finish();
    other.finish();
    other.finish();
    task.reopen('lost');
    other.reopen('lost too');
    expect(flips).toEqual([true, false]);
    unsubscribe();
    task.finish();
    other.finish();
    expect(flips).toEqual([true, false]);
  });

  it('returns the same task for the same name, without opening it again', () => {
    const readiness = createReadiness();
    readiness.task('a').finish();
    expect(readiness.task('a')).toBe(readiness.task('a'));
    expect(readiness.ready).toBe(true);
  });
});
