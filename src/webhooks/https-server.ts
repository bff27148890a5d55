// HTTPS for the API server: POST with a JSON body in, JSON out, bounded in size and time. The certificate is replaced while running.
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger, Unsubscribe } from '../runtime/index.ts';

/** An UPDATE carries two objects of at most 1.5 MB each. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const BODY_MS = 10_000;

export interface ServerCertificate {
  /** Leaf, then intermediates. */
  readonly certificatePem: string;
  /** PKCS#8; never logged. */
  readonly privateKeyPem: string;
}

/** Where the serving certificate comes from; undefined until it is made. */
export interface CertificateSource {
  current(): ServerCertificate | undefined;
  onChange(listener: () => void): Unsubscribe;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

export interface HttpsServerOptions {
  readonly certificate: CertificateSource;
  readonly handle: (path: string, body: unknown, signal: AbortSignal) => Promise<Reply>;
  readonly log: Logger;
}

export interface HttpsServer {
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /** Lets requests in flight end, up to the grace. */
  close(graceMs: number): Promise<void>;
}

export function createHttpsServer({ certificate, handle, log }: HttpsServerOptions): HttpsServer {
  const server = createServer({
    minVersion: 'TLSv1.2',
    requestTimeout: BODY_MS,
    headersTimeout: BODY_MS,
    // Longer than the API server keeps an idle connection (90 s): it must be the one that closes, or a review could be sent into a closed one.
    keepAliveTimeout: 120_000,
    maxHeaderSize: 16 * 1024,
  });

  function loadCertificate(): void {
    const pair = certificate.current();
    if (pair !== undefined)
      server.setSecureContext({ cert: pair.certificatePem, key: pair.privateKeyPem, minVersion: 'TLSv1.2' });
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return reply(response, { status: 405, body: { error: 'POST only' } });
    const bytes = await readBody(request);
    if (bytes === undefined) {
      response.setHeader('connection', 'close');
      return reply(response, { status: 413, body: { error: `the body is larger than ${MAX_BODY_BYTES} bytes` } });
    }
    let body: unknown;
    try {
      body = JSON.parse(bytes.toString('utf8'));
    } catch {
      return reply(response, { status: 400, body: { error: 'the body is no JSON' } });
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const path = new URL(request.url ?? '/', 'https://webhook').pathname;
    reply(response, await handle(path, body, gone.signal));
  }

  server.on('request', (request, response) => {
    answer(request, response).catch((err: unknown) => {
      log.warn('request failed', { err });
      response.destroy();
    });
  });
  server.on('tlsClientError', reason => log.debug('handshake failed', { err: reason.message }));
  loadCertificate();
  const unsubscribe = certificate.onChange(loadCertificate);

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          server.on('error', err => log.error('listener failed', { err }));
          resolve((server.address() as AddressInfo).port);
        });
      }),
    close: graceMs => {
      unsubscribe();
      return new Promise(resolve => {
        const timer = setTimeout(() => server.closeAllConnections(), graceMs).unref();
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      });
    },
  };
}

function reply(response: ServerResponse, { status, body }: Reply): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Undefined: too large; the rest is not read. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
