import { type RequestOptions, request } from 'node:https';
import { afterEach, expect, test } from 'vitest';
import { AppError, err, ok } from '../kernel/index.ts';
import type { Access, OperatorApiPorts, User } from './ports.ts';
import { createOperatorApi, type OperatorApi } from './server.ts';
import { aPod, aProxy, clientCertificate, constant, ports, SERVER_NAME, servingPair, variable } from './testing.ts';

const open: OperatorApi[] = [];
const serving = await servingPair();
const clients = await servingPair();
const strangers = await servingPair();

afterEach(async () => {
  for (const api of open.splice(0)) await api.close();
});

async function start(
  changes: Partial<OperatorApiPorts> = {},
  clientCa = constant(clients.ca.certificatePem),
): Promise<number> {
  const api = createOperatorApi({
    ...ports(changes),
    port: 0,
    host: '127.0.0.1',
    servingCertificate: constant(serving.leaf),
    clientCa,
  });
  open.push(api);
  return await api.listen();
}

interface Asked {
  status: number;
  body: { error?: { code: string; message: string }; [field: string]: unknown };
}

async function ask(port: number, path: string, options: RequestOptions = {}): Promise<Asked> {
  const text = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path,
        servername: SERVER_NAME,
        ca: serving.ca.certificatePem,
        agent: false,
        ...options,
      },
      response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => void (body += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    outgoing.once('error', reject);
    outgoing.end();
  });
  return { status: text.status, body: JSON.parse(text.body) };
}

const token = { headers: { Authorization: 'Bearer good' } };

test('whoever shows nothing is told what to show, and nothing else', async () => {
  const answer = await ask(await start(), '/v1/status');
  expect(answer).toEqual({
    status: 401,
    body: {
      error: {
        code: 'unauthenticated',
        message: expect.stringContaining('send a bearer token, or use a client certificate'),
      },
    },
  });
});

test('a token that the API server knows is let in, another is not', async () => {
  const port = await start();
  expect((await ask(port, '/v1/check', token)).status).toBe(200);
  expect((await ask(port, '/v1/check', { headers: { Authorization: 'Bearer bad' } })).status).toBe(401);
});

test('a client certificate of the cluster names the user and the groups', async () => {
  const seen: User[] = [];
  const authorizer = { allow: async (user: User) => (seen.push(user), ok(true as const)) };
  const answer = await ask(
    await start({ authorizer }),
    '/v1/check',
    await clientCertificate(clients.ca, 'jane', ['developers', 'admins']),
  );
  expect(answer.status).toBe(200);
  expect(seen).toEqual([
    { name: 'jane', uid: '', groups: ['developers', 'admins', 'system:authenticated'], extra: {} },
  ]);
});

test('a client certificate of somebody else is refused with the reason; with the authority replaced it is let in', async () => {
  const clientCa = variable(clients.ca.certificatePem);
  const port = await start({}, clientCa);
  const stranger = await clientCertificate(strangers.ca, 'jane', ['system:masters']);
  const refused = await ask(port, '/v1/check', stranger);
  expect(refused).toMatchObject({
    status: 401,
    body: { error: { message: expect.stringContaining('not one of this cluster') } },
  });
  clientCa.set(strangers.ca.certificatePem);
  expect((await ask(port, '/v1/check', stranger)).status).toBe(200);
});

test('a serving certificate is no client certificate', async () => {
  const { leaf } = clients;
  const answer = await ask(await start(), '/v1/check', { cert: leaf.certificatePem, key: leaf.privateKeyPem });
  expect(answer.status).toBe(401);
});

test.each([
  { path: '/v1/check', access: { verb: 'get', resource: 'status' } },
  { path: '/v1/status', access: { verb: 'get', resource: 'status' } },
  { path: '/v1/status?namespace=demo', access: { verb: 'get', resource: 'status', namespace: 'demo' } },
  { path: '/v1/stat?namespace=demo', access: { verb: 'get', resource: 'stat', namespace: 'demo' } },
  { path: '/v1/proxies', access: { verb: 'list', resource: 'proxies' } },
  { path: '/v1/proxies?namespace=demo', access: { verb: 'list', resource: 'proxies', namespace: 'demo' } },
  {
    path: '/v1/proxies/demo/web/config',
    access: { verb: 'get', resource: 'proxies', subresource: 'config', namespace: 'demo', name: 'web' },
  },
  {
    path: '/v1/objects/policy.linkerd.io/Server/demo/http',
    access: { verb: 'get', resource: 'objects', namespace: 'demo', name: 'http' },
  },
  { path: '/v1/objects/weft.dev/MeshConfig/-/default', access: { verb: 'get', resource: 'objects', name: 'default' } },
])('$path needs $access, and without it says no more than that', async ({ path, access }) => {
  const asked: Access[] = [];
  const denied = new AppError('permission-denied', 'jane may not');
  const authorizer = { allow: async (_: User, wanted: Access) => (asked.push(wanted), err(denied)) };
  const proxies = [aProxy('web')];
  const answer = await ask(await start({ ...ports({ proxies }), authorizer }), path, token);
  expect(answer).toEqual({ status: 403, body: { error: { code: 'permission-denied', message: 'jane may not' } } });
  expect(asked).toEqual([{ subresource: '', namespace: '', name: '', ...access }]);
});

test('a proxy that is not connected, a path that does not exist and a wrong window are told apart', async () => {
  const port = await start();
  expect(await ask(port, '/v1/proxies/demo/gone/config', token)).toMatchObject({
    status: 404,
    body: { error: { code: 'not-found' } },
  });
  expect(await ask(port, '/v2/check', token)).toMatchObject({ status: 404, body: { error: { code: 'not-found' } } });
  expect(await ask(port, '/v1/stat?namespace=demo&window=61', token)).toMatchObject({
    status: 400,
    body: { error: { code: 'invalid-argument' } },
  });
  expect(await ask(port, '/v1/stat', token)).toMatchObject({ status: 400 });
});

test('a bug is logged and not shown', async () => {
  const logged: unknown[] = [];
  const logger = { ...ports().logger, error: (_: string, fields?: object) => void logged.push(fields) };
  const snapshot = () => {
    throw new Error('secret detail');
  };
  const answer = await ask(await start({ snapshot, logger }), '/v1/status', token);
  expect(answer).toEqual({
    status: 500,
    body: { error: { code: 'internal', message: 'internal error: see the log of the operator' } },
  });
  expect(logged).toMatchObject([{ err: { cause: { message: 'secret detail' } } }]);
});

test('closing lets an answer that is being made finish', async () => {
  let release = () => {};
  const waiting = new Promise<void>(resolve => void (release = resolve));
  let entered = () => {};
  const arrived = new Promise<void>(resolve => void (entered = resolve));
  const fetchMetrics = async () => {
    entered();
    await waiting;
    return '';
  };
  const port = await start({ ...ports({ objects: [aPod('web')] }), fetchMetrics });
  const answer = ask(port, '/v1/stat?namespace=demo&window=0', token);
  await arrived;
  const closed = open.splice(0)[0]?.close();
  release();
  expect((await answer).status).toBe(200);
  await closed;
});
