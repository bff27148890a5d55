// What a Canary talks to outside of the cluster, on loopback.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

type Json = Readonly<Record<string, unknown>>;

export interface Outside {
  readonly url: string;
  successRate: number;
  /** What hooks are answered. */
  hookStatus: number;
  readonly calls: {
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: Json;
  }[];
  readonly queries: { readonly query: string; readonly authorization: string | undefined }[];
  close(): Promise<void>;
}

/** A Prometheus with one value, hooks that say yes, and a place for alerts. */
export async function startOutside(): Promise<Outside> {
  const calls: Outside['calls'] = [];
  const queries: Outside['queries'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://x');
      if (url.pathname === '/api/v1/query') {
        const query = url.searchParams.get('query') ?? '';
        queries.push({ query, authorization: request.headers.authorization });
        const value = query.includes('quantile') ? '12' : String(made.successRate);
        const data = { resultType: 'vector', result: [{ metric: {}, value: [Date.now() / 1_000, value] }] };
        response.end(JSON.stringify({ status: 'success', data }));
        return;
      }
      calls.push({
        path: url.pathname,
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json,
      });
      response.writeHead(made.hookStatus).end('ok');
    });
  });
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
  const made: Outside = { url, successRate: 100, hookStatus: 200, calls, queries, close };
  return made;
}
