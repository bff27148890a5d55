import { describe, expect, it } from 'vitest';
import { recordingMetrics } from '../runtime/recording.ts';
import type { ApiClient } from './api-client.ts';
import { scriptedClient } from './scripted-client.ts';
import { createTokenReviewer } from './token-review.ts';

const signal = new AbortController().signal;

const aReview = (changes: object = {}) => ({
  status: {
    authenticated: true,
    audiences: ['weft.dev'],
    user: {
      username: 'system:serviceaccount:demo:web',
      extra: { 'authentication.kubernetes.io/pod-name': ['web-1'], 'authentication.kubernetes.io/pod-uid': ['uid-1'] },
    },
    ...changes,
  },
});

/** Only the claims are looked at here: the API server judges the signature. */
const aToken = (name: string, expiresMs: number): string =>
  `${name}.${Buffer.from(JSON.stringify({ exp: expiresMs / 1000 })).toString('base64url')}.x`;

function setUp(cacheSize = 100, ...answers: unknown[]) {
  const client = scriptedClient(...answers);
  let nowMs = 1_000_000;
  const reviewer = createTokenReviewer({
    client,
    audience: 'weft.dev',
    clock: { nowMs: () => nowMs },
    metrics: recordingMetrics(),
    cacheSize,
  });
  return {
    asked: () => client.requests.length,
    wait: (ms: number) => (nowMs += ms),
    ask: (name: string, expiresMs = 100_000_000) => reviewer.authenticate(aToken(name, expiresMs), signal),
  };
}

describe('token review', () => {
  it('remembers an answer for a minute', async () => {
    const test = setUp(100, aReview());
    await test.ask('a');
    test.wait(59_999);
    expect(await test.ask('a')).toMatchObject({
      ok: true,
      value: { namespace: 'demo', pod: 'web-1', uid: 'uid-1', serviceAccount: 'web' },
    });
    expect(test.asked()).toBe(1);
    test.wait(1);
    await test.ask('a');
    expect(test.asked()).toBe(2);
  });

  it('does not remember a token past its own end', async () => {
    const test = setUp(100, aReview());
    await test.ask('a', 1_005_000);
    test.wait(5_000);
    await test.ask('a', 1_005_000);
    expect(test.asked()).toBe(2);
  });

  it('asks once for callers that come together, and again after a failure, which is nobody’s fault', async () => {
    const test = setUp(100, new Error('no answer'), aReview());
    const failed = await Promise.all([test.ask('a'), test.ask('a')]);
    expect(failed.map(answer => !answer.ok && answer.error.code)).toEqual(['unavailable', 'unavailable']);
    expect(test.asked()).toBe(1);
    expect((await test.ask('a')).ok).toBe(true);
  });

  it('keeps no more answers than it may, the newest of them', async () => {
    const test = setUp(2, aReview());
    for (const name of ['a', 'b', 'c']) await test.ask(name);
    expect(test.asked()).toBe(3);
    await test.ask('b');
    await test.ask('c');
    expect(test.asked()).toBe(3);
    await test.ask('a');
    expect(test.asked()).toBe(4);
  });

  it.each([
    { name: 'not authenticated', changes: { authenticated: false, error: 'expired' }, says: /expired/ },
    {
      name: 'of another audience',
      changes: { audiences: ['https://kubernetes.default.svc'] },
      says: /audience weft.dev/,
    },
    { name: 'of a person', changes: { user: { username: 'jane' } }, says: /no service account/ },
    {
      name: 'of a name that only looks like a service account',
      changes: { user: { username: 'system:serviceaccount:demo:web:more' } },
      says: /no service account/,
    },
    {
      name: 'bound to no pod',
      changes: { user: { username: 'system:serviceaccount:demo:web', extra: {} } },
      says: /not bound to a pod/,
    },
  ])('refuses a token that is $name', async ({ changes, says }) => {
    expect(await setUp(100, aReview(changes)).ask('a')).toMatchObject({
      ok: false,
      error: { code: 'unauthenticated', message: expect.stringMatching(says) as string },
    });
  });

  it('asks the API server so much at once and no more, and everybody in the end', async () => {
    let [underWay, most] = [0, 0];
    const client: ApiClient = {
      request: async () => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise(setImmediate);
        underWay -= 1;
        return aReview();
      },
      watch: () => Promise.reject(new Error('nobody watches here')),
    };
    const clock = { nowMs: () => 1_000_000 };
    const reviewer = createTokenReviewer({
      client,
      audience: 'weft.dev',
      clock,
      metrics: recordingMetrics(),
      atOnce: 3,
    });
    const names = Array.from({ length: 10 }, (_, index) => `${index}`);
    const answers = await Promise.all(names.map(name => reviewer.authenticate(aToken(name, 100_000_000), signal)));
    expect(answers.every(answer => answer.ok)).toBe(true);
    expect(most).toBe(3);
  });
});
