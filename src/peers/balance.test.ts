import { expect, it } from 'vitest';
import { streamsToShed } from './balance.ts';

it.each([
  { name: 'nothing when there is no other replica', own: 900, others: [], known: true, want: 0 },
  { name: 'nothing when all have the same', own: 100, others: [100, 100], known: true, want: 0 },
  { name: 'nothing when it has fewer than the others', own: 10, others: [100, 100], known: true, want: 0 },
  { name: 'nothing for a surplus that chance explains', own: 118, others: [91, 91], known: true, want: 0 },
  { name: 'nothing for a few proxies, whatever their share', own: 6, others: [0, 3], known: true, want: 0 },
  { name: 'nothing while it is unknown what another replica has', own: 300, others: [0, 0], known: false, want: 0 },
  {
    name: 'a tenth of the surplus when a replica has come back empty',
    own: 150,
    others: [150, 0],
    known: true,
    want: 5,
  },
  { name: 'at least one', own: 12, others: [4, 4], known: true, want: 1 },
  { name: 'no more than the bound', own: 8_000, others: [0, 0], known: true, want: 20 },
])('sheds $name', ({ want, ...load }) => {
  expect(streamsToShed(load)).toBe(want);
});

it('comes to rest with every replica near its share, and moves little more than what was too many', () => {
  // Where a proxy goes is drawn by a generator with a fixed seed.
  let seed = 7;
  const draw = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const counts = [1_500, 1_500, 0];
  let [rounds, moved] = [0, 0];
  for (let busy = true; busy; rounds += 1) {
    busy = false;
    for (const [index, own] of counts.entries()) {
      const shed = streamsToShed({ own, others: counts.filter((_, other) => other !== index), known: true });
      busy ||= shed > 0;
      moved += shed;
      counts[index] = (counts[index] ?? 0) - shed;
      for (let count = 0; count < shed; count++) {
        const target = Math.floor(draw() * 3);
        counts[target] = (counts[target] ?? 0) + 1;
      }
    }
    expect(rounds).toBeLessThan(1_000);
  }
  expect(counts.reduce((sum, count) => sum + count)).toBe(3_000);
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(410);
  expect(moved).toBeLessThan(2_500);
});
