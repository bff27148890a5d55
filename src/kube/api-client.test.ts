import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, describe, expect, it } from 'vitest';
import { type ApiClient, createApiClient, type WatchRequest } from './api-client.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function setUp(handler: Handler, timeoutMs = 5_000): Promise<ApiClient> {
  const server = createServer(handler);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  const kubeConfig = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  kubeConfig.loadFromClusterAndUser(
    { name: 'test', server: url, skipTLSVerify: true },
    { name: 'me', token: 'secret-token' },
  );
  return createApiClient({ kubeConfig, userAgent: 'weft-test', timeoutMs });
}

const signal = new AbortController().signal;
const status = (code: number, reason: string) =>
  JSON.stringify({ kind: 'Status', code, reason, message: `${reason} it is` });

describe('request', () => {
  it('sends credentials, query and body, and parses the answer', async () => {
    const seen: { head?: IncomingMessage; body: string } = { body: '' };
    const client = await setUp((request, response) => {
      seen.head = request;
      request.on('data', chunk => (seen.body += String(chunk)));
      request.on('end', () => response.end('{"ok":true}'));
    });
    const query = { fieldManager: 'weft', force: true, continue: undefined };
    const answer = await client.request({
      method: 'PATCH',
      path: '/api/v1/things',
      query,
      body: { ü: 1 },
      contentType: 'application/apply-patch+yaml',
      signal,
    });
    expect(answer).toEqual({ ok: true });
    expect(seen.head?.url).toBe('/api/v1/things?fieldManager=weft&force=true');
    expect(seen.head?.headers).toMatchObject({
      authorization: 'Bearer secret-token',
      'user-agent': 'weft-test',
      'content-type': 'application/apply-patch+yaml',
    });
    expect(seen.body).toBe('{"ü":1}');
  });

  it.each([
    { code: 404, reason: 'NotFound', appCode: 'not-found' },
    { code: 409, reason: 'AlreadyExists', appCode: 'already-exists' },
    { code: 409, reason: 'Conflict', appCode: 'aborted' },
    { code: 410, reason: 'Expired', appCode: 'failed-precondition' },
    { code: 422, reason: 'Invalid', appCode: 'invalid-argument' },
    { code: 503, reason: 'ServiceUnavailable', appCode: 'unavailable' },
  ])('turns $code $reason into an error that says so', async ({ code, reason, appCode }) => {
    const client = await setUp((_request, response) => response.writeHead(code).end(status(code, reason)));
    const answer = client.request({ method: 'GET', path: '/api/v1/things', signal });
    await expect(answer).rejects.toMatchObject({
      name: 'ApiError',
      status: code,
      reason,
      code: appCode,
      message: `GET /api/v1/things: ${code} ${reason} it is`,
    });
  });

  it('understands a refusal that is no Status', async () => {
    const client = await setUp((_request, response) => response.writeHead(502).end('<html>bad gateway</html>'));
    await expect(client.request({ method: 'GET', path: '/x', signal })).rejects.toMatchObject({
      status: 502,
      reason: '',
      code: 'unavailable',
    });
  });

  it('reuses the connection, and repeats a request whose kept connection was closed under it', async () => {
    const sockets = new Set<unknown>();
    let requests = 0;
    const client = await setUp((request, response) => {
      sockets.add(request.socket);
      requests++;
      // The third comes on a kept connection that is reset before anything is answered.
      if (requests === 3) request.socket.resetAndDestroy();
      else response.end('{}');
    });
    for (let count = 0; count < 3; count++) await client.request({ method: 'GET', path: '/x', signal });
    expect({ sockets: sockets.size, requests }).toEqual({ sockets: 2, requests: 4 });
  });

  it('gives up after its time, and at once when called off', async () => {
    const client = await setUp(() => {}, 100);
    await expect(client.request({ method: 'GET', path: '/x', signal })).rejects.toMatchObject({ code: 'unavailable' });
    const abort = new AbortController();
    const pending = client.request({ method: 'GET', path: '/x', signal: abort.signal });
    abort.abort();
    await expect(pending).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('watch', () => {
  function watching(client: ApiClient, changes: Partial<WatchRequest> = {}) {
    const lines: string[] = [];
    const ended = client.watch({
      path: '/api/v1/things',
      query: { resourceVersion: '7' },
      signal,
      idleMs: 5_000,
      onActivity: () => {},
      onLine: line => lines.push(line),
      ...changes,
    });
    return { lines, ended };
  }

  it('puts lines together however the stream is cut, even within a character, and ends with the stream', async () => {
    let url = '';
    const client = await setUp((request, response) => {
      url = request.url ?? '';
      const bytes = Buffer.from('{"a":1}\n{"name":"ümlaut"}\n\n{"last":true}\n');
      let at = 0;
      const send = (): void => {
        if (at === bytes.length) return void response.end();
        response.write(bytes.subarray(at, ++at));
        setImmediate(send);
      };
      send();
    });
    const { lines, ended } = watching(client);
    await ended;
    expect(lines).toEqual(['{"a":1}', '{"name":"ümlaut"}', '{"last":true}']);
    expect(url).toBe('/api/v1/things?resourceVersion=7&watch=true');
  });

  it('refuses like a request', async () => {
    const client = await setUp((_request, response) => response.writeHead(410).end(status(410, 'Expired')));
    await expect(watching(client).ended).rejects.toMatchObject({ status: 410 });
  });

  it('ends when nothing arrives for too long, and when it is called off', async () => {
    const client = await setUp((_request, response) => response.write('{"a":1}\n'));
    const idle = watching(client, { idleMs: 50 });
    await idle.ended;
    expect(idle.lines).toEqual(['{"a":1}']);
    const abort = new AbortController();
    const stopped = watching(client, { signal: abort.signal, onActivity: () => abort.abort() });
    await stopped.ended;
    expect(abort.signal.aborted).toBe(true);
  });

  it('fails when the connection breaks in the middle', async () => {
    const client = await setUp((_request, response) => {
      response.write('{"a":1}\n');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(watching(client).ended).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends with what the callback throws, and closes the connection', async () => {
    let closed = false;
    const client = await setUp((_request, response) => {
      response.on('close', () => {
        closed = true;
      });
      response.write('{"a":1}\n');
    });
    const { ended } = watching(client, {
      onLine: () => {
        throw new Error('callback is broken');
      },
    });
    await expect(ended).rejects.toThrow(/callback is broken/);
    await expect.poll(() => closed, { timeout: 5_000 }).toBe(true);
  });
});
