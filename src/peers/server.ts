// The side that tells: TLS 1.3 with a certificate of the operator on both sides, then one stream per follower.
import {
  type ConnectionInjector,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import { constants } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import { operatorServerName } from '../identity/index.ts';
import type { Logger } from '../runtime/index.ts';
import { decodeFollowerMessage, encodeTellerHello, type PeerHello } from '../wire/index.ts';
import { identityFault, type PeerCredentials } from './identity.ts';
import { PEERS_SERVICE, protocolFault } from './service.ts';

const HANDSHAKE_MS = 10_000;
const HELLO_MS = 10_000;
/** Replicas are few; during a roll-out there are as many again. */
const MAX_CONNECTIONS = 64;

type Call = ServerDuplexStream<Buffer, Buffer>;

export interface PeerServerOptions {
  readonly credentials: () => PeerCredentials | undefined;
  readonly hello: PeerHello;
  /** A replica that was accepted wants to be told; the answer is called when its stream has ended. */
  readonly onFollower: (write: (bytes: Uint8Array, done: () => void) => void) => () => void;
  readonly log: Logger;
  readonly keepaliveMs: number;
}

export interface PeerServer {
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  close(): Promise<void>;
}

export function createPeerServer(options: PeerServerOptions): PeerServer {
  const { log } = options;
  const sockets = new Set<TLSSocket>();
  const grpc = new Server({
    'grpc.keepalive_time_ms': options.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.keepaliveMs,
    'grpc.max_concurrent_streams': 4,
    // A follower says hello and little else.
    'grpc.max_receive_message_length': 64 * 1024,
    'grpc.enable_channelz': 0,
  });
  grpc.addService(PEERS_SERVICE, { follow: (call: Call) => converse(call) });
  // Insecure only to grpc-js: what is injected is the inside of a TLS connection.
  const injector: ConnectionInjector = grpc.createConnectionInjector(ServerCredentials.createInsecure());

  function contextOf(serverName: string): SecureContext | undefined {
    const held = options.credentials();
    if (held === undefined || operatorServerName(held.mesh) !== serverName.toLowerCase()) return undefined;
    return createSecureContext({
      cert: held.own.certificatePem,
      key: held.own.privateKeyPem,
      ca: held.roots,
      minVersion: 'TLSv1.3',
      // A resumed session would not show its certificate again.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
  }

  const server = createServer({
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
    SNICallback: (serverName, answer) => {
      const context = contextOf(serverName);
      if (context === undefined) answer(new Error(`no certificate for server name ${serverName}`));
      else answer(null, context);
    },
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', reason => log.debug('handshake of a replica failed', { err: reason.message }));
  server.on('secureConnection', socket => {
    const held = options.credentials();
    const fault =
      held === undefined ? new Error('no certificate') : identityFault(socket.getPeerCertificate(), held.identity);
    if (fault !== undefined || !socket.authorized || socket.alpnProtocol !== 'h2') {
      log.warn('connection to the peers port refused', { peer: socket.remoteAddress ?? '', err: fault?.message ?? '' });
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  });

  function converse(call: Call): void {
    let stop: (() => void) | undefined;
    const end = (code: status, details: string): void => {
      log.info('follower refused', { peer: call.getPeer(), reason: details });
      call.emit('error', { code, details, metadata: new Metadata() });
    };
    const timer = setTimeout(() => end(status.DEADLINE_EXCEEDED, 'no hello within 10 s'), HELLO_MS).unref();
    const write = (bytes: Uint8Array, done: () => void): void => {
      call.write(Buffer.from(bytes), (error: Error | null | undefined) => {
        if (error === null || error === undefined) done();
      });
    };
    call.on('data', (bytes: Buffer) => {
      const message = decodeFollowerMessage(bytes);
      if (!message.ok) return end(status.INVALID_ARGUMENT, message.error);
      // Something that a newer replica says.
      if (message.value === undefined || stop !== undefined) return;
      clearTimeout(timer);
      const fault = protocolFault(message.value.protocol);
      if (fault !== undefined) return end(status.FAILED_PRECONDITION, fault);
      write(encodeTellerHello(options.hello), () => {});
      stop = options.onFollower(write);
    });
    call.once('end', () => call.end());
    for (const event of ['cancelled', 'close'] as const) {
      call.once(event, () => {
        clearTimeout(timer);
        stop?.();
        stop = () => {};
      });
    }
    // Some clients wait for headers before they send anything.
    call.sendMetadata(new Metadata());
  }

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          server.on('error', err => log.error('peers listener failed', { err }));
          resolve((server.address() as AddressInfo).port);
        });
      }),
    close: async () => {
      const closed = new Promise<void>(resolve => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      injector.destroy();
      grpc.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
