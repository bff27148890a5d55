import { assert, double, nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBackoff, fullJitterMs } from './backoff.ts';

describe('backoff', () => {
  it('draws between the minimum and the doubled base, and never past the maximum', () => {
    assert(
      property(nat(2000), double({ min: 0, max: 0.999999, noNaN: true }), (attempt, draw) => {
        const delayMs = fullJitterMs(attempt, { baseMs: 200, maxMs: 30_000, minMs: 50, random: () => draw });
        expect(delayMs).toBeGreaterThanOrEqual(50);
        expect(delayMs).toBeLessThanOrEqual(Math.min(30_000, 200 * 2 ** Math.min(attempt, 20)));
        expect(Number.isInteger(delayMs)).toBe(true);
      }),
    );
  });

  it('uses the whole range', () => {
    const at = (draw: number): number => fullJitterMs(3, { baseMs: 100, maxMs: 10_000, random: () => draw });
    expect([at(0), at(0.5), at(0.999999)]).toEqual([0, 400, 800]);
  });

  it('starts again after a success', () => {
    const backoff = createBackoff({ baseMs: 100, maxMs: 1000, random: () => 0.999999 });
    expect([backoff.nextMs(), backoff.nextMs()]).toEqual([100, 200]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(100);
  });

  it.each([
    { baseMs: 0, maxMs: 10 },
    { baseMs: 20, maxMs: 10 },
    { baseMs: 10, maxMs: 20, minMs: 30 },
    { baseMs: Number.NaN, maxMs: 10 },
  ])('refuses %o', options => {
    expect(() => createBackoff({ ...options, random: () => 0 })).toThrow(RangeError);
  });
});
