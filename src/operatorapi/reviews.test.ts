import { expect, test } from 'vitest';
import type { ApiRequest } from '../kube/index.ts';
import { access } from './access.ts';
import { createClientCa } from './client-ca.ts';
import { createReviews } from './reviews.ts';
import { silentLogger } from '../runtime/index.ts';
import { aUser } from './testing.ts';

const signal = new AbortController().signal;

function api(answer: (request: ApiRequest) => unknown) {
  const requests: ApiRequest[] = [];
  return {
    requests,
    request: async (request: ApiRequest) => {
      requests.push(request);
      return answer(request);
    },
  };
}

test('a token is the user that the API server says', async () => {
  const user = { username: 'jane', uid: '7', groups: ['a'], extra: { scopes: ['x'] } };
  const server = api(() => ({ status: { authenticated: true, user } }));
  const { authenticator } = createReviews({ api: server, maxOpen: 2 });
  expect(await authenticator.user('t', signal)).toEqual({
    ok: true,
    value: { name: 'jane', uid: '7', groups: ['a'], extra: { scopes: ['x'] } },
  });
  expect(server.requests).toMatchObject([
    { method: 'POST', path: '/apis/authentication.k8s.io/v1/tokenreviews', body: { spec: { token: 't' } } },
  ]);
});

test.each([
  { name: 'not authenticated', status: { authenticated: false, user: { username: 'jane' } } },
  { name: 'without a user', status: { authenticated: true } },
  { name: 'without a status', status: undefined },
])('a review that is $name lets nobody in', async ({ status }) => {
  const { authenticator } = createReviews({ api: api(() => ({ status })), maxOpen: 2 });
  expect(await authenticator.user('t', signal)).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
});

test('what may be done is asked with everything that is known of the user', async () => {
  const server = api(() => ({ status: { allowed: true } }));
  const { authorizer } = createReviews({ api: server, maxOpen: 2 });
  expect(await authorizer.allow(aUser('jane'), access.proxyConfig('demo', 'web'), signal)).toEqual({
    ok: true,
    value: true,
  });
  expect(server.requests[0]?.body).toMatchObject({
    spec: {
      user: 'jane',
      groups: ['system:authenticated'],
      resourceAttributes: {
        group: 'weft.dev',
        resource: 'proxies',
        subresource: 'config',
        verb: 'get',
        namespace: 'demo',
        name: 'web',
      },
    },
  });
});

test('a refusal names the right that is missing and the role that has it', async () => {
  const { authorizer } = createReviews({ api: api(() => ({ status: { allowed: false } })), maxOpen: 2 });
  const answer = await authorizer.allow(aUser('jane'), access.proxyConfig('demo', 'web'), signal);
  expect(answer).toMatchObject({
    ok: false,
    error: {
      code: 'permission-denied',
      message: expect.stringMatching(/jane may not get proxies\/config.weft.dev in namespace demo: .*weft-view/),
    },
  });
});

test('an API server that does not answer is no refusal', async () => {
  const failing = api(() => {
    throw new Error('down');
  });
  const { authenticator } = createReviews({ api: failing, maxOpen: 2 });
  expect(await authenticator.user('t', signal)).toMatchObject({ ok: false, error: { code: 'unavailable' } });
});

test('nobody makes us flood the API server', async () => {
  let release = () => {};
  const held = new Promise<void>(resolve => void (release = resolve));
  const { authenticator } = createReviews({ api: api(() => held.then(() => ({}))), maxOpen: 1 });
  const first = authenticator.user('a', signal);
  expect(await authenticator.user('b', signal)).toMatchObject({ ok: false, error: { code: 'resource-exhausted' } });
  release();
  await first;
  expect(await authenticator.user('c', signal)).toMatchObject({ error: { code: 'unauthenticated' } });
});

test('the authority for client certificates is followed; while it cannot be read the last one stands', async () => {
  const answers: unknown[] = [
    { data: { 'client-ca-file': 'one' } },
    new Error('down'),
    { data: { 'client-ca-file': 'two' } },
  ];
  const server = api(() => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const source = createClientCa({ api: server, logger: silentLogger, refreshMs: 5 });
  const seen: (string | undefined)[] = [];
  await new Promise<void>(resolve => {
    source.onChange(() => {
      seen.push(source.current());
      if (seen.length === 2) resolve();
    });
  });
  source.close();
  expect(seen).toEqual(['one', 'two']);
});
