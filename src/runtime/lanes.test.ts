import { expect, it } from 'vitest';
import { createLanes } from './lanes.ts';

it('no more work is under way than there are lanes, and what fails gives its lane back', async () => {
  const lanes = createLanes(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const all = Promise.allSettled(
    gates.map((gate, index) =>
      lanes(() => {
        begun.push(index);
        return gate.promise;
      }),
    ),
  );
  const turn = () => new Promise(setImmediate);
  await turn();
  expect(begun).toEqual([0, 1]);
  gates[1]?.reject(new Error('failed'));
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, gate] of gates.entries()) gate.resolve(index);
  const outcomes = await all;
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
});
