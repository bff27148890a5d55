import { describe, expect, it } from 'vitest';
import { median, summarise } from './stats.ts';

describe('median', () => {
  it('is the middle of an odd count and the mean of the middle two of an even one', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
  it('refuses an empty list', () => {
    expect(() => median([])).toThrow('no samples');
  });
});

describe('summarise', () => {
  it('takes ratios within rounds, so that drift of the machine cancels', () => {
    // The machine is twice as slow in the second round; the ratio is one half in both.
    const summary = summarise(
      new Map([
        ['weft', [10, 20]],
        ['haproxy', [20, 40]],
      ]),
      'weft',
    );
    expect(summary).toMatchObject({
      values: { weft: 15, haproxy: 30 },
      ratios: { haproxy: 0.5 },
      rounds: 2,
      dropped: 0,
    });
  });
  it('counts what was dropped and leaves its round out of the ratio', () => {
    const summary = summarise(
      new Map([
        ['weft', [10, undefined, 10]],
        ['haproxy', [20, 1, 40]],
      ]),
      'weft',
    );
    expect(summary.dropped).toBe(1);
    expect(summary.ratios['haproxy']).toBe(0.375);
  });
});
