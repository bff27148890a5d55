// The TLS side of the gRPC port: TLS 1.3, HTTP/2 only, one certificate per mesh chosen by server name. Certificates are read anew for every
// handshake, so a renewed one is in use at once and open connections stay.
import { type AddressInfo } from 'node:net';
import { type SecureContext, type TLSSocket, createSecureContext, createServer } from 'node:tls';
import type { ServingCertificate } from '../identity/index.ts';
import type { Logger } from '../runtime/index.ts';

const HANDSHAKE_MS = 10_000;

export interface TlsListenerOptions {
  readonly certificate: (mesh: string) => ServingCertificate | undefined;
  readonly onConnection: (mesh: string, socket: TLSSocket) => void;
  readonly maxConnections: number;
  readonly log: Logger;
}

export interface TlsListener {
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  /** Cuts the connection of a peer (`address:port`). */
  cut(peer: string): void;
  /** Accepts nothing more. */
  stop(): void;
  /** Cuts every connection. */
  destroy(): void;
  readonly connections: number;
}

/** The mesh that a server name stands for; undefined when it is none of ours. */
function meshOfServerName(name: string): string | undefined {
  return /^operator\.([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)\.weft\.dev$/.exec(name.toLowerCase())?.[1];
}

export function createTlsListener({ certificate, onConnection, maxConnections, log }: TlsListenerOptions): TlsListener {
  const contexts = new Map<string, { readonly made: ServingCertificate; readonly context: SecureContext }>();
  const sockets = new Map<string, TLSSocket>();

  function contextOf(serverName: string): SecureContext | undefined {
    const mesh = meshOfServerName(serverName);
    const current = mesh === undefined ? undefined : certificate(mesh);
    if (mesh === undefined || current === undefined) return undefined;
    const held = contexts.get(mesh);
    if (held?.made === current) return held.context;
    const context = createSecureContext({
      cert: current.certificatePem,
      key: current.privateKeyPem,
      minVersion: 'TLSv1.3',
    });
    contexts.set(mesh, { made: current, context });
    return context;
  }

  const server = createServer({
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
    // Configuration must not wait for more of it.
    noDelay: true,
    SNICallback: (serverName, answer) => {
      const context = contextOf(serverName);
      if (context === undefined) answer(new Error(`no certificate for server name ${serverName}`));
      else answer(null, context);
    },
  });
  server.maxConnections = maxConnections;

  server.on('secureConnection', socket => {
    // Without a server name no context was chosen and the handshake cannot have come this far; ALPN may be missing altogether.
    const mesh = typeof socket.servername === 'string' ? meshOfServerName(socket.servername) : undefined;
    if (mesh === undefined || socket.alpnProtocol !== 'h2') {
      socket.destroy();
      return;
    }
    const peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    sockets.set(peer, socket);
    socket.once('close', () => {
      if (sockets.get(peer) === socket) sockets.delete(peer);
    });
    onConnection(mesh, socket);
  });
  server.on('tlsClientError', reason => log.debug('handshake failed', { err: reason.message }));

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: 4_096 }, () => {
          server.off('error', reject);
          server.on('error', err => log.error('listener failed', { err }));
          const address = server.address();
          if (address === null || typeof address === 'string') reject(new Error('the listener has no address'));
          else resolve(address);
        });
      }),
    cut: peer => sockets.get(peer)?.destroy(),
    stop: () => void server.close(),
    destroy: () => {
      for (const socket of sockets.values()) socket.destroy();
    },
    get connections() {
      return sockets.size;
    },
  };
}
