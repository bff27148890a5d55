import { array, assert, boolean, constantFrom, integer, property, record, uniqueArray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activeGeneration, type Generation, planRotation, type RotatingProxy, type RotationInput } from './rotation.ts';

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

/** Trusts nothing new, and has a certificate of `a`. */
const aProxy = (name: string, changes: Partial<RotatingProxy> = {}): RotatingProxy => ({
  name: `demo/${name}`,
  trustsNewest: false,
  leaf: 'a',
  ...changes,
});
const trusting = [aProxy('web', { trustsNewest: true })];

const plan = (changes: Partial<RotationInput>) =>
  planRotation({
    generations: [],
    activeName: '',
    newestName: undefined,
    proxies: [aProxy('web')],
    goOn: '',
    abort: '',
    nowMs: NOW,
    settleMs: 60_000,
    patienceMs: 600_000,
    leafLifeMs: 24 * HOUR,
    ...changes,
  });

describe('planRotation', () => {
  it('has nothing active without a generation', () => {
    expect(plan({})).toEqual({
      phase: 'Stable',
      active: undefined,
      next: undefined,
      waitingFor: [],
      overdue: false,
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
      phase: 'Renewing',
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
      proxies: trusting,
    });
    expect(step).toMatchObject({ active: 'a', next: 'b', againAfterMs: 40_000 });
  });

  it('signs with a new root once it has settled and every proxy holds it', () => {
    const step = plan({
      generations: [aGeneration('a'), newRoot],
      activeName: 'a',
      newestName: 'b',
      proxies: trusting,
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

  it('drops a replaced generation once every proxy has a certificate of the new one, after the settle time', () => {
    const at = (replacedAtMs: number, proxies: readonly RotatingProxy[]) =>
      plan({
        generations: [aGeneration('a', { replacedAtMs }), aGeneration('b')],
        activeName: 'b',
        newestName: 'b',
        proxies,
      });
    const renewed = [aProxy('web', { leaf: 'b' })];
    expect(at(NOW - 61_000, renewed)).toMatchObject({ phase: 'Stable', finished: ['a'] });
    expect(at(NOW - 59_000, renewed)).toMatchObject({ phase: 'Renewing', finished: [], againAfterMs: 1_000 });
    const abroad = aProxy('abroad', { leaf: undefined });
    expect(at(NOW - 61_000, [...renewed, abroad])).toMatchObject({ phase: 'Stable', finished: ['a'] });
    const one = [...renewed, abroad, aProxy('old'), aProxy('mute', { leaf: '' })];
    expect(at(NOW - 61_000, one)).toMatchObject({
      phase: 'Renewing',
      finished: [],
      waitingFor: ['demo/mute', 'demo/old'],
    });
  });

  it('names those who hold a new root back, and goes on without them when the patience is over and a person says so', () => {
    const at = (ageMs: number, goOn: string) =>
      plan({
        generations: [aGeneration('a'), { ...newRoot, createdMs: NOW - ageMs }],
        activeName: 'a',
        newestName: 'b',
        proxies: [...trusting, aProxy('mute')],
        goOn,
      });
    expect(at(599_000, 'b')).toMatchObject({
      phase: 'Trusting',
      active: 'a',
      next: 'b',
      waitingFor: ['demo/mute'],
      overdue: false,
      againAfterMs: 1_000,
    });
    expect(at(601_000, '')).toMatchObject({ active: 'a', next: 'b', overdue: true });
    expect(at(601_000, 'another')).toMatchObject({ active: 'a', next: 'b', overdue: true });
    expect(at(601_000, 'b')).toMatchObject({ phase: 'Renewing', active: 'b', next: undefined, replaced: ['a'] });
  });

  it('goes back in either phase when a person aborts, and drops what was aborted when nobody hangs on it', () => {
    const trustingPhase = plan({
      generations: [aGeneration('a'), newRoot],
      activeName: 'a',
      newestName: 'b',
      proxies: trusting,
      abort: 'b',
    });
    expect(trustingPhase).toMatchObject({ active: 'a', next: undefined, replaced: ['b'] });
    const renewing = {
      generations: [aGeneration('a', { replacedAtMs: NOW - 120_000 }), newRoot],
      activeName: 'b',
      newestName: 'b',
      abort: 'b',
    };
    const back = plan({ ...renewing, proxies: [aProxy('web'), aProxy('api', { leaf: 'b' })] });
    expect(back).toMatchObject({ active: 'a', phase: 'Renewing', replaced: ['b'], restored: ['a'] });
    const after = plan({
      generations: [aGeneration('a'), { ...newRoot, replacedAtMs: NOW - 61_000 }],
      activeName: 'a',
      newestName: 'b',
      abort: 'b',
    });
    expect(after).toMatchObject({ active: 'a', phase: 'Stable', finished: ['b'] });
  });

  it('cannot go back when there is nothing to go back to', () => {
    expect(plan({ generations: [aGeneration('b')], activeName: 'b', newestName: 'b', abort: 'b' })).toMatchObject({
      active: 'b',
      finished: [],
    });
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
    const proxySets = array(
      record({ name: constantFrom('demo/web', 'demo/api'), trustsNewest: boolean(), leaf: names }),
    );
    const inputs = record({
      generations: generationSets,
      activeName: names,
      newestName: names,
      proxies: proxySets,
      goOn: names,
      abort: names,
    });
    assert(
      property(inputs, input => {
        const { generations, activeName, newestName, proxies, goOn, abort } = input;
        const step = plan(input);
        expect(step.active === undefined).toBe(!generations.some(({ usable }) => usable));
        expect(step.finished).not.toContain(step.active);
        expect(step.finished).not.toContain(step.next);
        const active = generations.find(({ name }) => name === step.active);
        expect(active?.usable ?? true).toBe(true);
        const before = activeGeneration(generations, activeName);
        // Another root takes over only when everybody holds it, when somebody decided, or when there was nothing to hold on to.
        const sameRoot = before === undefined || active === undefined || before.anchorsId === active.anchorsId;
        const held = proxies.every(({ trustsNewest }) => trustsNewest);
        expect(sameRoot || held || goOn === newestName || before.name === abort).toBe(true);
        // A root that somebody's certificate hangs on stays for as long as that certificate can live.
        for (const name of step.finished) {
          const replacedAtMs = generations.find(generation => generation.name === name)?.replacedAtMs ?? NOW;
          const over = NOW - replacedAtMs >= 24 * HOUR;
          expect(over || proxies.every(({ leaf }) => leaf === step.active)).toBe(true);
        }
      }),
    );
  });
});
