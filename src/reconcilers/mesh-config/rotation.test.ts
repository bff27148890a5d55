import { assert, boolean, constantFrom, integer, property, record, uniqueArray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activeGeneration, type Generation, planRotation, type RotationInput } from './rotation.ts';

const NOW = 1_000_000_000;
const HOUR = 3_600_000;

const aGeneration = (name: string, changes: Partial<Generation> = {}): Generation => ({
  name,
  anchorsId: 'root-1',
  createdMs: NOW - HOUR,
  usable: true,
  replacedAtMs: undefined,
  ...changes,
});

const plan = (changes: Partial<RotationInput>) =>
  planRotation({
    generations: [],
    activeName: '',
    newestName: undefined,
    newestRootsHeld: false,
    nowMs: NOW,
    settleMs: 60_000,
    leafLifeMs: 24 * HOUR,
    ...changes,
  });

describe('planRotation', () => {
  it('has nothing active without a generation', () => {
    expect(plan({})).toEqual({
      active: undefined,
      next: undefined,
      replaced: [],
      restored: [],
      finished: [],
      againAfterMs: undefined,
    });
  });

  it('takes the first generation at once, though nobody has acknowledged its root', () => {
    expect(plan({ generations: [aGeneration('a')], newestName: 'a' })).toMatchObject({ active: 'a', next: undefined });
  });

  it('switches at once when the root stays the same, and stamps the former', () => {
    const generations = [aGeneration('a'), aGeneration('b', { createdMs: NOW })];
    expect(plan({ generations, activeName: 'a', newestName: 'b' })).toMatchObject({
      active: 'b',
      replaced: ['a'],
      finished: [],
    });
  });

  const newRoot = aGeneration('b', { anchorsId: 'root-2', createdMs: NOW - 61_000 });

  it('does not sign with a new root that a proxy does not hold yet', () => {
    const step = plan({ generations: [aGeneration('a'), newRoot], activeName: 'a', newestName: 'b' });
    expect(step).toMatchObject({ active: 'a', next: 'b', replaced: [] });
    expect(step.againAfterMs).toBeGreaterThan(0);
  });

  it('does not sign with a new root before it has settled, though every proxy holds it', () => {
    const young = { ...newRoot, createdMs: NOW - 20_000 };
    const step = plan({
      generations: [aGeneration('a'), young],
      activeName: 'a',
      newestName: 'b',
      newestRootsHeld: true,
    });
    expect(step).toMatchObject({ active: 'a', next: 'b', againAfterMs: 40_000 });
  });

  it('signs with a new root once it has settled and every proxy holds it', () => {
    const step = plan({
      generations: [aGeneration('a'), newRoot],
      activeName: 'a',
      newestName: 'b',
      newestRootsHeld: true,
    });
    expect(step).toMatchObject({ active: 'b', next: undefined, replaced: ['a'], finished: [] });
  });

  it('keeps a replaced generation while a leaf of it can be alive, and drops it then', () => {
    const old = (replacedAtMs: number) => aGeneration('a', { replacedAtMs });
    const current = aGeneration('b');
    const during = plan({ generations: [old(NOW - 23 * HOUR), current], activeName: 'b', newestName: 'b' });
    expect(during).toMatchObject({ finished: [], replaced: [], againAfterMs: HOUR });
    const after = plan({ generations: [old(NOW - 24 * HOUR), current], activeName: 'b', newestName: 'b' });
    expect(after).toMatchObject({ finished: ['a'], againAfterMs: undefined });
  });

  it('signs at once with whatever is usable when the active one is over', () => {
    const generations = [aGeneration('a', { usable: false }), { ...newRoot, createdMs: NOW }];
    expect(plan({ generations, activeName: 'a', newestName: 'b' })).toMatchObject({ active: 'b', next: undefined });
  });

  it('keeps the active one while the source is unusable', () => {
    expect(plan({ generations: [aGeneration('a')], activeName: 'a' })).toMatchObject({
      active: 'a',
      next: undefined,
      replaced: [],
    });
  });

  it('goes back to a former generation when its source comes back', () => {
    const generations = [aGeneration('a', { replacedAtMs: NOW - HOUR }), aGeneration('b')];
    expect(plan({ generations, activeName: 'b', newestName: 'a' })).toMatchObject({
      active: 'a',
      replaced: ['b'],
      restored: ['a'],
    });
  });

  it('never drops or unseats the active one for an unusable one, whatever the state', () => {
    const someGeneration = record({
      name: constantFrom('a', 'b', 'c', 'd'),
      anchorsId: constantFrom('root-1', 'root-2'),
      createdMs: integer({ min: NOW - 100 * HOUR, max: NOW }),
      usable: boolean(),
      replacedAtMs: constantFrom(undefined, NOW - HOUR, NOW - 50 * HOUR),
    });
    const generationSets = uniqueArray(someGeneration, { selector: ({ name }) => name });
    const names = constantFrom('a', 'b', 'c', 'd', '');
    assert(
      property(generationSets, names, names, boolean(), (generations, activeName, newestName, newestRootsHeld) => {
        const step = plan({ generations, activeName, newestName, newestRootsHeld });
        expect(step.active === undefined).toBe(!generations.some(({ usable }) => usable));
        expect(step.finished).not.toContain(step.active);
        expect(step.finished).not.toContain(step.next);
        const active = generations.find(({ name }) => name === step.active);
        expect(active?.usable ?? true).toBe(true);
        const before = activeGeneration(generations, activeName);
        // Another root takes over only when it is held, or when there was nothing to hold on to.
        const sameRoot = before === undefined || active === undefined || before.anchorsId === active.anchorsId;
        expect(sameRoot || newestRootsHeld).toBe(true);
      }),
    );
  });
});
