/** Random values of the model, for the round trip. For tests only. */
import * as fc from 'fast-check';
import type {
  Authorization,
  Backend,
  Balancing,
  Clients,
  Endpoint,
  Endpoints,
  HttpMatch,
  InboundPort,
  Outbound,
  Ref,
  RequestPolicy,
  ResourceBody,
  Routed,
  Workload,
} from '../../model/index.ts';
import { podKey } from '../../kernel/index.ts';
import type { ClientMessage, PeerProxy } from '../index.ts';

const text = fc.string({ maxLength: 12 });
const texts = fc.array(text, { maxLength: 3 });
const port = fc.integer({ min: 0, max: 65_535 });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const labels = fc.array(fc.record({ name: text, value: text }), { maxLength: 3 });
const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 3 });

export const nonce = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

const ref: fc.Arbitrary<Ref> = fc.record({ group: text, kind: text, namespace: text, name: text, port });
const protocol = fc.constantFrom('detect', 'http1', 'http2', 'grpc', 'opaque', 'tls');
const condition = fc.record({ name: text, kind: fc.constantFrom('exact', 'regex'), value: text });

const match: fc.Arbitrary<HttpMatch> = fc.record({
  path: fc.option(fc.record({ kind: fc.constantFrom('exact', 'prefix', 'regex', 'regexPrefix'), value: text }), {
    nil: undefined,
  }),
  headers: few(condition),
  query: few(condition),
  methods: texts,
});

const clients: fc.Arbitrary<Clients> = fc.oneof(
  fc.constant({ kind: 'unauthenticated' as const }),
  fc.constant({ kind: 'unauthenticatedTls' as const }),
  fc.record({ kind: fc.constant('meshTls' as const), any: fc.boolean(), identities: texts, suffixes: texts }),
);

const authorization: fc.Arbitrary<Authorization> = fc.record({
  authorization: ref,
  networks: few(fc.record({ cidr: text, except: texts })),
  clients,
});

const inboundPort: fc.Arbitrary<InboundPort> = fc.record({
  port,
  protocol,
  server: ref,
  authorizations: few(authorization),
  routes: few(fc.record({ route: ref, matches: few(match), authorizations: few(authorization) })),
  unmatchedNotFound: fc.boolean(),
  audit: fc.boolean(),
  maxRequests: uint32,
  maxConnectionAgeMs: uint32,
});

const workload: fc.Arbitrary<Workload> = fc.record({
  mesh: text,
  namespace: text,
  pod: text,
  podUid: text,
  identity: text,
  labels,
  ports: few(inboundPort),
  defaultPort: inboundPort,
  inboundPorts: few(port),
  unknownDestination: fc.constantFrom('passThrough', 'refuse'),
  accessLog: fc.constantFrom('off', 'apache', 'json'),
  logLevel: text,
  podIps: texts,
  detectTimeoutMs: uint32,
  forwardedFor: fc.boolean(),
  applicationEnded: fc.boolean(),
});

const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1'),
  port: fc.constantFrom(80, 8080),
  podUid: text,
  identity: text,
  transport: fc.constantFrom('plain', 'direct', 'redirect'),
  zone: text,
  labels,
});

const maybe = <T>(item: fc.Arbitrary<T>) => fc.option(item, { nil: undefined });
const successRate = fc.record({ thresholdPermille: uint32, windowMs: uint32, minRequests: uint32 });

const balancing: fc.Arbitrary<Balancing> = fc.record({
  algorithm: fc.constantFrom('default', 'peakEwma', 'leastRequest', 'ringHash', 'roundRobin'),
  hashKey: maybe(
    fc.oneof(
      fc.record({ kind: fc.constantFrom('header' as const, 'cookie' as const), name: text }),
      fc.record({ kind: fc.constantFrom('identity' as const, 'source' as const) }),
    ),
  ),
  slowStartMs: maybe(uint32),
  ejection: maybe(
    fc.record({
      consecutiveFailures: maybe(uint32),
      successRate: maybe(successRate),
      pauseMs: maybe(uint32),
      pauseMaxMs: maybe(uint32),
      maxPercent: maybe(uint32),
      panicPercent: maybe(uint32),
    }),
  ),
  localZone: text,
});

export const endpoints: fc.Arbitrary<Endpoints> = fc.record({
  endpoints: fc.uniqueArray(endpoint, { maxLength: 6, selector: ({ address, port }) => `${address} ${port}` }),
  balancing: maybe(balancing),
});

const backend: fc.Arbitrary<Backend> = fc.record({
  weight: uint32,
  backend: ref,
  target: fc.oneof(
    fc.record({ kind: fc.constant('endpoints' as const), name: text }),
    fc.record({ kind: fc.constant('errorStatus' as const), status: uint32 }),
  ),
  labels,
});

const policy: fc.Arbitrary<RequestPolicy> = fc.record({
  policy: ref,
  rule: text,
  matches: few(match),
  timeouts: maybe(fc.record({ requestMs: uint32, tryMs: uint32, responseMs: uint32, idleMs: uint32 })),
  retry: maybe(
    fc.record({
      limit: uint32,
      statuses: few(fc.record({ first: uint32, last: uint32 })),
      grpcCodes: few(uint32),
      onConnectionError: fc.boolean(),
      onTimeout: fc.boolean(),
      methods: texts,
      maxBodyBytes: uint32,
      budget: maybe(fc.record({ percent: uint32, minPerSecond: uint32, ttlMs: uint32 })),
      backoffMs: uint32,
      backoffMaxMs: uint32,
      maxRetryAfterMs: uint32,
    }),
  ),
  breaker: maybe(
    fc.record({
      consecutiveFailures: uint32,
      successRate: maybe(successRate),
      pauseMs: uint32,
      pauseMaxMs: uint32,
    }),
  ),
  maxRequests: uint32,
  faults: few(
    fc.record({
      name: text,
      matches: few(match),
      identities: texts,
      sharePpm: uint32,
      delayMs: uint32,
      abortStatus: uint32,
      abortGrpc: uint32,
      untilUnixMs: fc.maxSafeInteger(),
      successFloorPermille: uint32,
    }),
  ),
});

const routed: fc.Arbitrary<Routed> = fc.record({
  routes: few(fc.record({ route: ref, matches: few(match), backends: few(backend), cedeUnavailable: fc.boolean() })),
  defaultBackends: few(backend),
  policies: few(policy),
});

const outbound: fc.Arbitrary<Outbound> = fc.record({
  destination: ref,
  protocol,
  target: fc.oneof(
    routed.map(value => ({ kind: 'routed' as const, ...value })),
    fc.record({ kind: fc.constant('endpoint' as const), endpoint, named: maybe(routed) }),
    fc.constant({ kind: 'passThrough' as const }),
    fc.record({ kind: fc.constant('refused' as const), reason: text }),
  ),
  labels,
});

const trust = fc.record({
  domains: few(fc.record({ mesh: text, trustDomain: text, anchors: few(fc.uint8Array({ maxLength: 8 })) })),
  issuer: text,
  renewWithinMs: fc.nat(),
});

export const body: fc.Arbitrary<ResourceBody> = fc.oneof(
  workload.map(value => ({ kind: 'workload' as const, workload: value })),
  outbound.map(value => ({ kind: 'outbound' as const, outbound: value })),
  endpoints.map(value => ({ kind: 'endpoints' as const, endpoints: value })),
  trust.map(value => ({ kind: 'trust' as const, trust: value })),
);

export const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('leaf' as const),
    generation: text,
    notAfterMs: fc.nat().map(seconds => seconds * 1_000),
    clockMs: fc.nat(),
  }),
  fc.record({
    kind: fc.constant('hello' as const),
    proxyVersion: text,
    protocol: uint32,
    held: few(fc.record({ name: text, version: text })),
  }),
  fc.record({ kind: fc.constantFrom('subscribe' as const, 'unsubscribe' as const), names: texts }),
  fc.record({ kind: fc.constant('ack' as const), nonce }),
  fc.record({ kind: fc.constant('nack' as const), nonce, resource: text, reason: text }),
);

const name = fc.stringMatching(/^[a-z0-9-]{1,8}$/);
const view = fc.record({ mesh: text, zone: text, node: text });
const moment = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

export const peerProxy: fc.Arbitrary<PeerProxy> = fc
  .record({
    namespace: name,
    pod: name,
    view,
    podUid: text,
    proxyVersion: text,
    connectedAtMs: moment,
    lastHeardMs: moment,
    connected: fc.boolean(),
    silent: fc.boolean(),
    leaf: fc.option(
      fc.record({ generation: text, notAfterMs: moment, skewMs: fc.integer({ min: -1_000_000, max: 1_000_000 }) }),
      { nil: undefined },
    ),
    resources: few(
      fc.record({
        name: text,
        ackedVersion: text,
        sentVersion: text,
        nackReason: fc.option(text, { nil: undefined }),
      }),
    ),
  })
  .map(({ namespace, pod, podUid, view: seen, ...rest }) => ({
    ...rest,
    who: { podKey: podKey(namespace, pod), podUid, view: { ...seen, namespace } },
  }));
