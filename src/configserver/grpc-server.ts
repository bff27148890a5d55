// grpc-js behind our own TLS: one grpc.Server per mesh, so that a handler knows the mesh from the server name that was proved in the handshake.
// Messages pass as Buffers: what is encoded once is written to every stream.
import { type ConnectionInjector, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import type { CertifyHandler } from './identity-service.ts';
import type { StreamHandler } from './config-service.ts';
import type { ReportHandler } from './report-service.ts';
import { MESSAGE_BYTES } from './message-bound.ts';

const asIs = (bytes: Buffer): Buffer => bytes;
const passThrough = {
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};

export const CONFIG_SERVICE = {
  stream: { path: '/weft.config.v1.ConfigService/Stream', requestStream: true, responseStream: true, ...passThrough },
} as const satisfies ServiceDefinition;

export const IDENTITY_SERVICE = {
  certify: {
    path: '/weft.identity.v1.IdentityService/Certify',
    requestStream: false,
    responseStream: false,
    ...passThrough,
  },
} as const satisfies ServiceDefinition;

export const TELEMETRY_SERVICE = {
  report: {
    path: '/weft.telemetry.v1.TelemetryService/Report',
    requestStream: true,
    responseStream: true,
    ...passThrough,
  },
} as const satisfies ServiceDefinition;

export interface GrpcOptions {
  readonly stream: StreamHandler;
  /** Undefined: reports are not taken, and proxies that ask are told so. */
  readonly report: ReportHandler | undefined;
  readonly certify: CertifyHandler;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export interface GrpcServers {
  inject(mesh: string, connection: Duplex): void;
  /** Sends GOAWAY on every connection. */
  drain(graceMs: number): void;
  destroy(): void;
}

export function createGrpcServers(options: GrpcOptions): GrpcServers {
  const servers = new Map<string, { readonly server: Server; readonly injector: ConnectionInjector }>();

  function serverOf(mesh: string): ConnectionInjector {
    const known = servers.get(mesh);
    if (known !== undefined) return known.injector;
    const server = new Server({
      'grpc.keepalive_time_ms': options.keepaliveMs,
      'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
      // A connection without a stream is of no use to anybody.
      'grpc.max_connection_idle_ms': 300_000,
      'grpc.max_concurrent_streams': 16,
      'grpc.max_receive_message_length': MESSAGE_BYTES,
      'grpc.enable_channelz': 0,
    });
    server.addService(CONFIG_SERVICE, { stream: (call: Parameters<StreamHandler>[1]) => options.stream(mesh, call) });
    server.addService(IDENTITY_SERVICE, {
      certify: (call: Parameters<CertifyHandler>[1], answer: Parameters<CertifyHandler>[2]) =>
        options.certify(mesh, call, answer),
    });
    const { report } = options;
    if (report !== undefined)
      server.addService(TELEMETRY_SERVICE, { report: (call: Parameters<ReportHandler>[1]) => report(mesh, call) });
    // Insecure only to grpc-js: what is injected is the inside of a TLS connection.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    servers.set(mesh, { server, injector });
    return injector;
  }

  return {
    inject: (mesh, connection) => serverOf(mesh).injectConnection(connection),
    drain: graceMs => {
      for (const { injector } of servers.values()) injector.drain(graceMs);
    },
    destroy: () => {
      for (const { injector, server } of servers.values()) {
        injector.destroy();
        server.forceShutdown();
      }
      servers.clear();
    },
  };
}
