/**
 * L4: serves proxies. ConfigService.Stream and IdentityService.Certify over TLS, and the registry of what every proxy holds. Imports kernel,
 * model, runtime, identity and wire; never another L4 folder.
 *
 * A connection's life: handshake (server name -> mesh) -> token and pod proved -> hello -> resources, newest version wins, one slot per resource.
 */
import { AppError } from '../kernel/index.ts';
import type { Certify, OwnLeaves } from '../identity/index.ts';
import type { ConfigSource, OwnProxies, PodAuthenticator, ReportSink } from '../model/index.ts';
import type { Clock, Logger, Metrics } from '../runtime/index.ts';
import { sleep } from '../runtime/index.ts';
import { createStreamHandler } from './config-service.ts';
import { type Codec, createFrames } from './frames.ts';
import { createGrpcServers } from './grpc-server.ts';
import { createHub } from './hub.ts';
import { type CertifyCodec, createCertifyHandler } from './identity-service.ts';
import { createHubMetrics } from './metrics.ts';
import { createReportHandler, type ReportCodec } from './report-service.ts';
import { createRegistry } from './registry.ts';
import { createTlsListener } from './tls-listener.ts';
import { createTopics } from './topics.ts';
import { wireCodec } from './wire-codec.ts';

export interface ConfigServerOptions {
  readonly source: ConfigSource;
  readonly authenticator: PodAuthenticator;
  readonly certify: Certify;
  /** The certificate that the operator shows per mesh; read at every handshake. */
  readonly certificates: Pick<OwnLeaves, 'get'>;
  /** Where proxies report what they count; absent: nowhere. */
  readonly reports?: ReportSink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits?: Partial<ConfigServerLimits>;
}

export interface ConfigServerLimits {
  readonly maxStreams: number;
  /** Bytes under way to one client before its newer versions wait (and replace each other). */
  readonly windowBytes: number;
  /** Encoded messages kept for sharing. */
  readonly frameBytes: number;
  readonly podWaitMs: number;
  /** For a client to read why its stream ends. */
  readonly endGraceMs: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export interface ConfigServer {
  /** Resolves with the port once it accepts connections; `signal` closes the server. */
  listen(address: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<number>;
  readonly registry: OwnProxies;
  /** Tells so many clients to connect again, because another replica has fewer; answers with how many it told. */
  shed(count: number): number;
  /** Tells all clients to come back elsewhere (`unavailable`), and cuts those that have not left after the grace. */
  close(graceMs?: number): Promise<void>;
}

const DEFAULTS: ConfigServerLimits = {
  maxStreams: 10_000,
  windowBytes: 64 * 1024,
  frameBytes: 32 * 1024 * 1024,
  podWaitMs: 10_000,
  endGraceMs: 5_000,
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 10_000,
};
const SWEEP_MS = 5_000;

export function createConfigServer(options: ConfigServerOptions): ConfigServer {
  const { source, authenticator, clock } = options;
  const log = options.log.child({ component: 'configserver' });
  const limits = { ...DEFAULTS, ...options.limits };
  const metrics = createHubMetrics(options.metrics);
  const codec: Codec & CertifyCodec & ReportCodec = wireCodec;
  const topics = createTopics(source);
  const registry = createRegistry({ clock, topics });
  const frames = createFrames({ codec, maxBytes: limits.frameBytes, onEncode: () => metrics.encoded() });
  const hub = createHub({ source, topics, registry, frames, clock, log, metrics, windowBytes: limits.windowBytes });
  const callers = { authenticator, source, podWaitMs: limits.podWaitMs };
  const grpc = createGrpcServers({
    stream: createStreamHandler({
      ...callers,
      hub,
      codec,
      metrics,
      clock,
      log,
      maxStreams: limits.maxStreams,
      ending: { cut: peer => listener.cut(peer), graceMs: limits.endGraceMs },
    }),
    certify: createCertifyHandler({ ...callers, certify: options.certify, codec, metrics, log }),
    report:
      options.reports === undefined
        ? undefined
        : createReportHandler({
            ...callers,
            sink: options.reports,
            codec,
            metrics,
            log,
            maxStreams: limits.maxStreams,
          }),
    keepaliveMs: limits.keepaliveMs,
    keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
  });
  const listener = createTlsListener({
    certificate: mesh => options.certificates.get(mesh),
    onConnection: (mesh, socket) => grpc.inject(mesh, socket),
    // Proxies that reconnect may hold two for a moment.
    maxConnections: limits.maxStreams * 2,
    log,
  });
  const unsubscribe = source.onPublish(() => hub.publish());
  const sweeper = setInterval(() => hub.sweep(), SWEEP_MS).unref();
  let closing: Promise<void> | undefined;

  async function shut(graceMs: number): Promise<void> {
    unsubscribe();
    clearInterval(sweeper);
    listener.stop();
    hub.endAll(new AppError('unavailable', 'this replica is going away; connect again'));
    grpc.drain(graceMs);
    const deadline = AbortSignal.timeout(graceMs);
    while (listener.connections > 0 && (await sleep(20, deadline)));
    grpc.destroy();
    listener.destroy();
  }

  const close = (graceMs = 5_000): Promise<void> => {
    closing ??= shut(graceMs);
    return closing;
  };

  return {
    listen: async (address, signal) => {
      const { port } = await listener.listen(address);
      if (signal.aborted) await close();
      else signal.addEventListener('abort', () => void close(), { once: true });
      log.info('serving proxies', { port });
      return port;
    },
    registry,
    shed: count => hub.shed(count, new AppError('unavailable', 'another replica has fewer proxies; connect again')),
    close,
  };
}
