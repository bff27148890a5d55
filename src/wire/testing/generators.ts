/** Random values of the model, for the round trip. For tests only. */
import * as fc from 'fast-check';
import type {
  Authorization,
  Backend,
  Clients,
  Endpoint,
  Endpoints,
  HttpMatch,
  InboundPort,
  Outbound,
  Ref,
  ResourceBody,
  Workload,
} from '../../model/index.ts';
import type { ClientMessage } from '../index.ts';

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

export const endpoints: fc.Arbitrary<Endpoints> = fc
  .uniqueArray(endpoint, { maxLength: 6, selector: ({ address, port }) => `${address} ${port}` })
  .map(list => ({ endpoints: list }));

const backend: fc.Arbitrary<Backend> = fc.record({
  weight: uint32,
  backend: ref,
  target: fc.oneof(
    fc.record({ kind: fc.constant('endpoints' as const), name: text }),
    fc.record({ kind: fc.constant('errorStatus' as const), status: uint32 }),
  ),
  labels,
});

const outbound: fc.Arbitrary<Outbound> = fc.record({
  destination: ref,
  protocol,
  target: fc.oneof(
    fc.record({
      kind: fc.constant('routed' as const),
      routes: few(
        fc.record({ route: ref, matches: few(match), backends: few(backend), cedeUnavailable: fc.boolean() }),
      ),
      defaultBackends: few(backend),
    }),
    fc.record({ kind: fc.constant('endpoint' as const), endpoint }),
    fc.constant({ kind: 'passThrough' as const }),
    fc.record({ kind: fc.constant('refused' as const), reason: text }),
  ),
  labels,
});

const trust = fc.record({
  domains: few(fc.record({ mesh: text, trustDomain: text, anchors: few(fc.uint8Array({ maxLength: 8 })) })),
});

export const body: fc.Arbitrary<ResourceBody> = fc.oneof(
  workload.map(value => ({ kind: 'workload' as const, workload: value })),
  outbound.map(value => ({ kind: 'outbound' as const, outbound: value })),
  endpoints.map(value => ({ kind: 'endpoints' as const, endpoints: value })),
  trust.map(value => ({ kind: 'trust' as const, trust: value })),
);

export const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
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
