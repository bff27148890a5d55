import { describe, expect, it } from 'vitest';
import { expiry } from './expiry.ts';

const NOW = Date.parse('2026-11-20T10:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const lasting = (lifeMs: number, leftMs: number) =>
  expiry({ name: 'a', notBeforeMs: NOW + leftMs - lifeMs, notAfterMs: NOW + leftMs }, NOW);

describe('expiry', () => {
  it.each([
    { name: 'ten years, thirty-one days left', life: 3_650 * DAY, left: 31 * DAY, reason: 'Valid' },
    { name: 'ten years, twenty-nine days left', life: 3_650 * DAY, left: 29 * DAY, reason: 'ExpiresSoon' },
    { name: 'ninety days, renewed by cert-manager just now', life: 90 * DAY, left: 30 * DAY, reason: 'Valid' },
    { name: 'ninety days, thirteen left', life: 90 * DAY, left: 13 * DAY, reason: 'ExpiresVerySoon' },
    { name: 'ninety days, six left', life: 90 * DAY, left: 6 * DAY, reason: 'ExpiresAtOnce' },
    { name: 'one hour, a third of it left', life: HOUR, left: 20 * 60_000, reason: 'Valid' },
    { name: 'one hour, a quarter of it left', life: HOUR, left: 15 * 60_000, reason: 'ExpiresSoon' },
    { name: 'over', life: 90 * DAY, left: 0, reason: 'Expired' },
  ])('$name: $reason', ({ life, left, reason }) => {
    const { condition } = lasting(life, left);
    expect(condition).toMatchObject({ reason, status: reason === 'Valid' ? 'True' : 'False' });
  });

  it('is looked at again at the next step, and in the end at the end', () => {
    let leftMs = 90 * DAY;
    const told: string[] = [];
    for (let step = 0; step < 5; step += 1) {
      const { condition, againAfterMs } = lasting(90 * DAY, leftMs);
      told.push(condition.reason);
      leftMs -= againAfterMs;
    }
    expect(told).toEqual(['Valid', 'ExpiresSoon', 'ExpiresVerySoon', 'ExpiresAtOnce', 'Expired']);
  });
});
