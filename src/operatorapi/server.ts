import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import { createApp } from './app.ts';
import type { OperatorApiPorts, ServingCertificate, Source } from './ports.ts';

export interface OperatorApiOptions extends OperatorApiPorts {
  readonly port: number;
  /** Default: all addresses, IPv6 and IPv4. */
  readonly host?: string;
  readonly servingCertificate: Source<ServingCertificate>;
  /** PEM; authorities for client certificates. */
  readonly clientCa: Source<string>;
}

export interface OperatorApi {
  /** The port that is listened on. Rejects when it is taken. */
  listen(): Promise<number>;
  /** Lets what is being answered finish. */
  close(): Promise<void>;
}

/**
 * HTTPS on `port`. Until there is a serving certificate, handshakes fail; a new certificate or client authority counts from the next
 * connection on. A client need not show a certificate, and one of an unknown authority is not cut off in the handshake: it is told why by 401.
 */
export function createOperatorApi(options: OperatorApiOptions): OperatorApi {
  const { servingCertificate, clientCa, port, host } = options;
  const app = createApp(options);
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    { ...tlsOptions(), requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    (request, response) => {
      void listener(request, response);
    },
  );
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.keepAliveTimeout = 30_000;
  server.maxConnections = 1000;
  // A port scanner or a client that gives up is no event.
  server.on('tlsClientError', () => {});

  function tlsOptions(): SecureContextOptions {
    const serving = servingCertificate.current();
    const ca = clientCa.current();
    return {
      ...(serving === undefined ? {} : { cert: serving.certificatePem, key: serving.privateKeyPem }),
      ...(ca === undefined ? { ca: [] } : { ca }),
    };
  }

  const renew = () => server.setSecureContext(tlsOptions());
  const subscriptions = [servingCertificate.onChange(renew), clientCa.onChange(renew)];

  return {
    listen: async () => {
      renew();
      return await listenOn(server, port, host);
    },
    close: async () => {
      for (const unsubscribe of subscriptions) unsubscribe();
      server.closeIdleConnections();
      if (server.listening) await new Promise(resolve => server.close(resolve));
    },
  };
}

async function listenOn(server: Server, port: number, host: string | undefined): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
