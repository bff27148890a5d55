// The admin listener: /livez and /readyz for the kubelet, /metrics for Prometheus. Plain HTTP, no secrets behind it.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger, Readiness } from '../runtime/index.ts';
import type { Liveness } from './liveness.ts';
import type { PromMetrics } from './prom-metrics.ts';

export interface AdminServerOptions {
  readonly metrics: Pick<PromMetrics, 'expose'>;
  readonly readiness: Pick<Readiness, 'ready' | 'pending'>;
  readonly liveness: () => Liveness;
  readonly log: Logger;
}

export interface AdminServer {
  /** Resolves with the port in use, for port 0. Rejects when the address is taken. */
  listen(port: number, host?: string): Promise<number>;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly contentType?: string;
}

export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { metrics, readiness, liveness, log } = options;

  async function answer(path: string): Promise<Answer> {
    switch (path) {
      case '/livez': {
        const { alive, hanging } = liveness();
        return alive ? { status: 200, text: 'ok\n' } : { status: 503, text: `${hanging.join('\n')}\n` };
      }
      case '/readyz':
        return readiness.ready
          ? { status: 200, text: 'ok\n' }
          : { status: 503, text: `${readiness.pending().join('\n')}\n` };
      case '/metrics':
        return { status: 200, ...(await metrics.expose()) };
      default:
        return { status: 404, text: 'try /livez, /readyz or /metrics\n' };
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const { status, text, contentType = 'text/plain; charset=utf-8' } = await answer(request.url?.split('?')[0] ?? '/');
    response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  const server: Server = createServer((request, response) => {
    handle(request, response).catch((thrown: unknown) => {
      log.error('admin request failed', { err: thrown });
      response.destroy();
    });
  });

  return {
    listen: (port, host = '::') =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve((server.address() as AddressInfo).port);
        });
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
