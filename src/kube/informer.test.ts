import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { err, ok, type Problem, type Result } from '../kernel/index.ts';
import { refuseLeakedTimers } from '../runtime/leaked-timers.ts';
import { recordingLogger, recordingMetrics } from '../runtime/recording.ts';
import { ApiError } from './api-error.ts';
import { createInformer, type InformerOptions } from './informer.ts';
import { identityOf, isRecord } from './raw-object.ts';
import { type ScriptedClient, scriptedClient } from './scripted-client.ts';

const THINGS = { group: 'test.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };

interface Thing {
  readonly name: string;
  readonly size: number;
}

function decode(raw: unknown): Result<Thing, Problem> {
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const size = isRecord(spec) ? spec['size'] : undefined;
  const identity = identityOf(THINGS, raw);
  if (identity === undefined) throw new Error('the informer must not pass on an object without a name');
  const name = identity.key.split('/')[3] ?? '';
  if (typeof size === 'number') return ok({ name, size });
  return err({
    object: identity.key,
    path: 'spec.size',
    reason: 'Invalid',
    message: `size is ${String(size)}`,
    severity: 'error',
  });
}

const aThing = (name: string, version: number, size: unknown = version) => ({
  metadata: { name, namespace: 'ns', resourceVersion: String(version), managedFields: [{ manager: 'kubectl' }] },
  spec: { size },
});
const aList = (resourceVersion: number, ...items: unknown[]) => ({
  metadata: { resourceVersion: String(resourceVersion) },
  items,
});
const expired = () => new ApiError(410, 'Expired', 'too old resource version');

function setUp(client: ScriptedClient, options: Partial<InformerOptions<Thing>> = {}) {
  const metrics = recordingMetrics();
  const informer = createInformer<Thing>({
    type: THINGS,
    client,
    decode,
    clock: { nowMs: () => Date.now() },
    log: recordingLogger(),
    metrics,
    random: () => 0.5,
    ...options,
  });
  const changes: string[] = [];
  informer.store.onChange(({ before, after, listed }) => {
    const size = (thing: Thing | undefined): string => (thing === undefined ? '-' : String(thing.size));
    changes.push(`${(after ?? before)?.name} ${size(before)}>${size(after)}${listed ? ' listed' : ''}`);
  });
  const stop = new AbortController();
  const running = informer.run(stop.signal);
  const seen = (): Record<string, number> =>
    Object.fromEntries(Array.from(informer.store.snapshot().values(), thing => [thing.name, thing.size]));
  const restarts = (reason: string): number => metrics.value('weft_informer_restarts_total', { kind: 'Thing', reason });
  return {
    informer,
    changes,
    metrics,
    seen,
    restarts,
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

const turn = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('informer', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    refuseLeakedTimers(vi.getTimerCount());
    vi.useRealTimers();
  });

  it('lists page by page, is in sync after the last page, and watches from the version of the list', async () => {
    const client = scriptedClient(
      { metadata: { resourceVersion: '10', continue: 'next' }, items: [aThing('a', 1)] },
      aList(10, aThing('b', 2)),
    );
    const test = setUp(client);
    await turn();
    await test.informer.synced;
    expect(test.seen()).toEqual({ a: 1, b: 2 });
    expect(client.requests.map(({ query }) => query?.['continue'])).toEqual([undefined, 'next']);
    expect(client.watches[0]?.request.query).toMatchObject({ resourceVersion: '10', allowWatchBookmarks: true });
    await test.stop();
  });

  it('applies events and goes on from a bookmark after the server ended the watch, without listing again', async () => {
    const client = scriptedClient(aList(10, aThing('a', 1)));
    const test = setUp(client);
    await turn();
    client.watches[0]?.send('ADDED', aThing('b', 11));
    client.watches[0]?.send('MODIFIED', aThing('a', 12));
    client.watches[0]?.send('DELETED', aThing('b', 13));
    client.watches[0]?.send('BOOKMARK', { metadata: { resourceVersion: '20' } });
    client.watches[0]?.end();
    await turn();
    expect(test.seen()).toEqual({ a: 12 });
    expect(client.requests).toHaveLength(1);
    expect(client.watches[1]?.request.query).toMatchObject({ resourceVersion: '20' });
    expect(test.changes).toEqual(['a ->1 listed', 'b ->11', 'a 1>12', 'b 11>-']);
    expect(test.restarts('ended')).toBe(1);
    await test.stop();
  });

  it.each([
    {
      how: 'an ERROR event',
      break: (client: ScriptedClient) => client.watches[0]?.send('ERROR', { code: 410, reason: 'Expired' }),
    },
    {
      how: 'a refused watch',
      break: (client: ScriptedClient) => (client.refuseWatch(expired()), client.watches[0]?.end()),
    },
  ])(
    'lists again after 410 from $how, tells deletes and changes at once and keeps what did not change',
    async ({ break: breakIt }) => {
      const client = scriptedClient(aList(10, aThing('kept', 1), aThing('gone', 2), aThing('changed', 3)));
      const test = setUp(client);
      await turn();
      const kept = [...test.informer.store.snapshot().values()].find(thing => thing.name === 'kept');
      client.answers.push(aList(30, aThing('kept', 1), aThing('changed', 28), aThing('new', 29)));
      client.answers.shift();
      test.changes.length = 0;
      breakIt(client);
      await turn(30_000);
      expect(test.seen()).toEqual({ kept: 1, changed: 28, new: 29 });
      expect([...test.informer.store.snapshot().values()].find(thing => thing.name === 'kept')).toBe(kept);
      expect(test.changes.toSorted()).toEqual(['changed 3>28 listed', 'gone 2>- listed', 'new ->29 listed']);
      expect(test.restarts('expired')).toBe(1);
      await test.stop();
    },
  );

  it('shows listeners the whole new state, never half of a list', async () => {
    const client = scriptedClient(aList(10, aThing('a', 1)));
    const test = setUp(client);
    await turn();
    const sizes: number[] = [];
    test.informer.store.onChange(() => sizes.push(test.informer.store.size));
    client.answers.push(aList(30, aThing('b', 2), aThing('c', 3)));
    client.answers.shift();
    client.watches[0]?.send('ERROR', { code: 410 });
    await turn(30_000);
    expect(sizes).toEqual([2, 2, 2]);
    await test.stop();
  });

  it('resumes a broken connection from the last version, with growing delays, and never gives up', async () => {
    const client = scriptedClient(aList(10, aThing('a', 1)));
    const test = setUp(client);
    await turn();
    for (let failures = 0; failures < 30; failures++) client.refuseWatch(new Error('connection refused'));
    client.watches[0]?.fail(new Error('socket hang up'));
    await turn(20 * 60_000);
    expect(client.requests).toHaveLength(1);
    expect(client.watches.at(-1)?.request.query).toMatchObject({ resourceVersion: '10' });
    expect(test.restarts('error')).toBe(31);
    expect(test.seen()).toEqual({ a: 1 });
    await test.stop();
  });

  it('keeps what it knows while lists fail, and is not in sync before the first one succeeded', async () => {
    const client = scriptedClient(
      new Error('no answer'),
      new ApiError(403, 'Forbidden', 'not yours'),
      aList(5, aThing('a', 1)),
    );
    const test = setUp(client);
    await turn(100);
    expect(test.informer.hasSynced).toBe(false);
    expect(test.informer.health().state).toBe('backoff');
    await turn(60_000);
    expect(test.informer.hasSynced).toBe(true);
    expect(test.seen()).toEqual({ a: 1 });
    await test.stop();
  });

  it('takes a kind that the API does not know for empty and in sync, and watches it once it appears', async () => {
    const client = scriptedClient(new ApiError(404, 'NotFound', 'the server could not find the requested resource'));
    const test = setUp(client, { absentPollMs: 1000 });
    const absence: boolean[] = [];
    test.informer.onAbsence(absent => absence.push(absent));
    await turn();
    expect({ synced: test.informer.hasSynced, state: test.informer.health().state }).toEqual({
      synced: true,
      state: 'absent',
    });
    client.answers.push(aList(5, aThing('a', 1)));
    client.answers.shift();
    await turn(1000);
    expect(test.seen()).toEqual({ a: 1 });
    expect(test.informer.health()).toMatchObject({ state: 'watching', absent: false });
    expect(absence).toEqual([true, false]);
    await test.stop();
  });

  it('does not empty a store for one stray 404, but does so for a kind that is gone', async () => {
    const client = scriptedClient(aList(5, aThing('a', 1)));
    const test = setUp(client, { absentPollMs: 1000 });
    await turn();
    client.answers.push(new ApiError(404, 'NotFound', 'gone'));
    client.answers.shift();
    client.watches[0]?.fail(new ApiError(404, 'NotFound', 'gone'));
    await turn();
    expect(test.seen()).toEqual({ a: 1 });
    await turn(2000);
    expect(test.seen()).toEqual({});
    await test.stop();
  });

  it('counts an object that cannot be decoded, keeps a problem and drops its former content', async () => {
    const client = scriptedClient(aList(10, aThing('a', 1), aThing('b', 2, 'big')));
    const test = setUp(client);
    await turn();
    expect(test.seen()).toEqual({ a: 1 });
    client.watches[0]?.send('MODIFIED', aThing('a', 11, null));
    expect(test.seen()).toEqual({});
    expect([...test.informer.problems().values()].map(({ message }) => message)).toEqual([
      'size is big',
      'size is null',
    ]);
    expect(test.metrics.value('weft_informer_decode_errors_total', { kind: 'Thing' })).toBe(2);
    client.watches[0]?.send('MODIFIED', aThing('a', 12));
    client.watches[0]?.send('DELETED', aThing('b', 13, 'big'));
    expect(test.seen()).toEqual({ a: 12 });
    expect(test.informer.problems().size).toBe(0);
    await test.stop();
  });

  it('lists again when a line of the stream cannot be read, because what it said is unknown', async () => {
    const client = scriptedClient(aList(10, aThing('a', 1)));
    const test = setUp(client);
    await turn();
    client.answers.push(aList(12));
    client.answers.shift();
    client.watches[0]?.sendLine('{"type":"DELETED","object":{"metada');
    await turn(30_000);
    expect(test.seen()).toEqual({});
    await test.stop();
  });

  it('does not loop tightly when the server accepts and at once ends every watch', async () => {
    const client = scriptedClient(aList(10));
    const test = setUp(client);
    const endAll = setInterval(() => client.watches.at(-1)?.end(), 1);
    await turn(60_000);
    clearInterval(endAll);
    expect(client.watches.length).toBeLessThan(20);
    expect(client.watches.length).toBeGreaterThan(3);
    await test.stop();
  });

  it('tells the loop being alive apart from the server being silent', async () => {
    const client = scriptedClient(aList(10));
    const test = setUp(client);
    await turn();
    const listedMs = test.informer.health().lastProgressMs;
    for (let failures = 0; failures < 50; failures++) client.refuseWatch(new Error('connection refused'));
    client.watches[0]?.fail(new Error('socket hang up'));
    await turn(10 * 60_000);
    const { lastProgressMs, lastActivityMs } = test.informer.health();
    expect(lastProgressMs).toBe(listedMs);
    expect(Date.now() - lastActivityMs).toBeLessThan(31_000);
    await test.stop();
  });
});
