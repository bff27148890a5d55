import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { ServingCertificate, Source } from '../ports.ts';
import { createQueryApp, type QueryPorts } from './app.ts';

export interface QueryApiOptions extends QueryPorts {
  readonly port: number;
  readonly host: string;
  readonly servingCertificate: Source<ServingCertificate>;
  /** PEM; authorities for client certificates. */
  readonly clientCa: Source<string>;
}

export interface QueryApi {
  /** The port that is listened on. Rejects when it is taken. */
  listen(): Promise<number>;
  /** Lets what is being answered finish. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 500;
const FIRST_BYTE_MS = 10_000;
/** Content type of a TLS record with a handshake, RFC 8446 5.1. */
const HANDSHAKE = 22;

/**
 * One port for both: with TLS for whoever has a token or a certificate, plain for those who are known by their address. The first byte of a connection
 * tells which.
 */
export function createQueryApi(options: QueryApiOptions): QueryApi {
  const { servingCertificate, clientCa } = options;
  const listener = getRequestListener(createQueryApp(options).fetch, { overrideGlobalObjects: false });
  const plain = createPlainServer((request, response) => void listener(request, response));
  const secure = createTlsServer(
    { ...tlsOptions(), requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    (request, response) => void listener(request, response),
  );
  for (const server of [plain, secure]) {
    server.headersTimeout = 10_000;
    server.requestTimeout = 30_000;
    server.keepAliveTimeout = 30_000;
  }
  // A client that gives up is no event.
  secure.on('tlsClientError', () => {});
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const silent = setTimeout(() => socket.destroy(), FIRST_BYTE_MS).unref();
    const onError = (): void => void socket.destroy();
    socket.once('error', onError);
    socket.once('close', () => clearTimeout(silent));
    socket.once('data', (first: Buffer) => {
      clearTimeout(silent);
      socket.pause();
      socket.off('error', onError);
      socket.unshift(first);
      (first[0] === HANDSHAKE ? secure : plain).emit('connection', socket);
      process.nextTick(() => socket.resume());
    });
  });
  server.maxConnections = MAX_CONNECTIONS;

  function tlsOptions(): SecureContextOptions {
    const serving = servingCertificate.current();
    const ca = clientCa.current();
    return {
      ...(serving === undefined ? {} : { cert: serving.certificatePem, key: serving.privateKeyPem }),
      ca: ca ?? [],
    };
  }

  const renew = (): void => secure.setSecureContext(tlsOptions());
  const subscriptions = [servingCertificate.onChange(renew), clientCa.onChange(renew)];

  return {
    listen: async () => {
      renew();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port: options.port, host: options.host }, () => {
          server.off('error', reject);
          resolve();
        });
      });
      return (server.address() as AddressInfo).port;
    },
    close: async () => {
      for (const unsubscribe of subscriptions) unsubscribe();
      plain.closeIdleConnections();
      secure.closeIdleConnections();
      const closed = new Promise<void>(resolve => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      const deadline = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, 2_000);
      await closed;
      clearTimeout(deadline);
    },
  };
}
