import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type AuthorizationSchema,
  type BackendSchema,
  type BalancingSchema,
  type BreakerSchema,
  type EndpointSchema,
  type EndpointsSchema,
  type FaultSchema,
  type HashKeySchema,
  type HttpMatchSchema,
  type InboundPortSchema,
  type OutboundRouteSchema,
  type OutboundSchema,
  type RequestPolicySchema,
  type RetrySchema,
  type RoutedSchema,
  ServerMessageSchema,
  type TrustSchema,
  type UpsertSchema,
  type WorkloadSchema,
} from '../gen/weft/config/v1/config_pb.ts';
import type {
  Authorization,
  Backend,
  Balancing,
  Breaker,
  Clients,
  Endpoint,
  Endpoints,
  EndpointsDelta,
  Fault,
  HashKey,
  HttpMatch,
  InboundPort,
  Label,
  Outbound,
  OutboundRoute,
  OutboundTarget,
  RequestPolicy,
  Resource,
  ResourceBody,
  Retry,
  Routed,
  Trust,
  Workload,
} from '../model/index.ts';
import { ACCESS_LOGS, ALGORITHMS, PROTOCOLS, TRANSPORTS, UNKNOWN_DESTINATIONS } from './enums.ts';

type Init<S extends Parameters<typeof create>[0]> = MessageInitShape<S>;
type UpsertResource = Init<typeof UpsertSchema>['resource'];

/** A whole ServerMessage that brings one resource; the same bytes may go to any number of streams. */
export function encodeUpsert(resource: Resource, nonce: bigint): Uint8Array {
  return upsert({ name: resource.name, version: resource.version, nonce }, bodyOf(resource.body));
}

/** A whole ServerMessage that turns the endpoints of `delta.baseVersion` into those of `version`. */
export function encodeEndpointsDelta(
  head: { readonly name: string; readonly version: string; readonly nonce: bigint },
  delta: EndpointsDelta,
): Uint8Array {
  const { baseVersion, upserted, removed } = delta;
  return upsert(head, {
    case: 'endpointsDelta',
    value: { baseVersion, upserted: upserted.map(endpointOf), removed: [...removed] },
  });
}

/** A whole ServerMessage that says that a resource is gone. */
export function encodeRemove(name: string, nonce: bigint): Uint8Array {
  return toBinary(
    ServerMessageSchema,
    create(ServerMessageSchema, { nonce, kind: { case: 'remove', value: { name } } }),
  );
}

function upsert(
  head: { readonly name: string; readonly version: string; readonly nonce: bigint },
  resource: UpsertResource,
): Uint8Array {
  const { name, version, nonce } = head;
  const value = resource === undefined ? { name, version } : { name, version, resource };
  return toBinary(ServerMessageSchema, create(ServerMessageSchema, { nonce, kind: { case: 'upsert', value } }));
}

function bodyOf(body: ResourceBody): UpsertResource {
  switch (body.kind) {
    case 'workload':
      return { case: 'workload', value: workloadOf(body.workload) };
    case 'trust':
      return { case: 'trust', value: trustOf(body.trust) };
    case 'outbound':
      return { case: 'outbound', value: outboundOf(body.outbound) };
    case 'endpoints':
    default:
      return { case: 'endpoints', value: endpointsOf(body.endpoints) };
  }
}

function workloadOf(workload: Workload): Init<typeof WorkloadSchema> {
  return {
    ...workload,
    labels: labelsOf(workload.labels),
    ports: workload.ports.map(inboundPortOf),
    defaultPort: inboundPortOf(workload.defaultPort),
    inboundPorts: [...workload.inboundPorts],
    unknownDestination: UNKNOWN_DESTINATIONS[workload.unknownDestination],
    accessLog: ACCESS_LOGS[workload.accessLog],
    podIps: [...workload.podIps],
  };
}

function inboundPortOf(port: InboundPort): Init<typeof InboundPortSchema> {
  return {
    ...port,
    protocol: PROTOCOLS[port.protocol],
    authorizations: port.authorizations.map(authorizationOf),
    routes: port.routes.map(({ route, matches, authorizations }) => ({
      route,
      matches: matches.map(matchOf),
      authorizations: authorizations.map(authorizationOf),
    })),
  };
}

function authorizationOf({ authorization, networks, clients }: Authorization): Init<typeof AuthorizationSchema> {
  return {
    authorization,
    networks: networks.map(({ cidr, except }) => ({ cidr, except: [...except] })),
    clients: clientsOf(clients),
  };
}

function clientsOf(clients: Clients): NonNullable<Init<typeof AuthorizationSchema>['clients']> {
  if (clients.kind !== 'meshTls') return { case: clients.kind, value: {} };
  const { any, identities, suffixes } = clients;
  return { case: 'meshTls', value: { any, identities: [...identities], suffixes: [...suffixes] } };
}

function matchOf({ path, headers, query, methods }: HttpMatch): Init<typeof HttpMatchSchema> {
  return {
    ...(path === undefined ? {} : { path: { kind: { case: path.kind, value: path.value } } }),
    headers: headers.map(({ name, kind, value }) => ({ name, kind: { case: kind, value } })),
    query: query.map(({ name, kind, value }) => ({ name, kind: { case: kind, value } })),
    methods: [...methods],
  };
}

function outboundOf({ destination, protocol, target, labels }: Outbound): Init<typeof OutboundSchema> {
  const named = target.kind === 'endpoint' && target.named !== undefined ? { named: routedOf(target.named) } : {};
  return { destination, protocol: PROTOCOLS[protocol], kind: targetOf(target), labels: labelsOf(labels), ...named };
}

function targetOf(target: OutboundTarget): NonNullable<Init<typeof OutboundSchema>['kind']> {
  switch (target.kind) {
    case 'routed':
      return { case: 'routed', value: routedOf(target) };
    case 'endpoint':
      return { case: 'endpoint', value: endpointOf(target.endpoint) };
    case 'refused':
      return { case: 'refused', value: { reason: target.reason } };
    case 'passThrough':
    default:
      return { case: 'passThrough', value: {} };
  }
}

function routedOf({ routes, defaultBackends, policies }: Routed): Init<typeof RoutedSchema> {
  return {
    routes: routes.map(routeOf),
    defaultBackends: defaultBackends.map(backendOf),
    policies: policies.map(policyOf),
  };
}

function policyOf({
  policy,
  rule,
  matches,
  timeouts,
  retry,
  breaker,
  maxRequests,
  faults,
}: RequestPolicy): Init<typeof RequestPolicySchema> {
  return {
    policy,
    rule,
    matches: matches.map(matchOf),
    maxRequests,
    faults: faults.map(faultOf),
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(retry === undefined ? {} : { retry: retryOf(retry) }),
    ...(breaker === undefined ? {} : { breaker: breakerOf(breaker) }),
  };
}

function retryOf({ budget, ...retry }: Retry): Init<typeof RetrySchema> {
  return {
    ...retry,
    statuses: [...retry.statuses],
    grpcCodes: [...retry.grpcCodes],
    methods: [...retry.methods],
    ...(budget === undefined ? {} : { budget }),
  };
}

function breakerOf({ successRate, ...breaker }: Breaker): Init<typeof BreakerSchema> {
  return { ...breaker, ...(successRate === undefined ? {} : { successRate }) };
}

function faultOf(fault: Fault): Init<typeof FaultSchema> {
  return {
    ...fault,
    matches: fault.matches.map(matchOf),
    identities: [...fault.identities],
    untilUnixMs: BigInt(fault.untilUnixMs),
  };
}

function routeOf({ route, matches, backends, cedeUnavailable }: OutboundRoute): Init<typeof OutboundRouteSchema> {
  return { route, matches: matches.map(matchOf), backends: backends.map(backendOf), cedeUnavailable };
}

function backendOf({ weight, backend, target, labels }: Backend): Init<typeof BackendSchema> {
  return {
    weight,
    backend,
    target:
      target.kind === 'endpoints'
        ? { case: 'endpoints', value: target.name }
        : { case: 'errorStatus', value: target.status },
    labels: labelsOf(labels),
  };
}

function endpointsOf({ endpoints, balancing }: Endpoints): Init<typeof EndpointsSchema> {
  return {
    endpoints: endpoints.map(endpointOf),
    ...(balancing === undefined ? {} : { balancing: balancingOf(balancing) }),
  };
}

function balancingOf({
  algorithm,
  hashKey,
  slowStartMs,
  ejection,
  localZone,
}: Balancing): Init<typeof BalancingSchema> {
  return {
    algorithm: ALGORITHMS[algorithm],
    localZone,
    ...(hashKey === undefined ? {} : { hashKey: { kind: hashKeyOf(hashKey) } }),
    ...(slowStartMs === undefined ? {} : { slowStartMs }),
    ...(ejection === undefined ? {} : { ejection: defined(ejection) }),
  };
}

function hashKeyOf(key: HashKey): NonNullable<Init<typeof HashKeySchema>['kind']> {
  return 'name' in key ? { case: key.kind, value: key.name } : { case: key.kind, value: true };
}

/** Without what is undefined: on the wire that is a field that is not there. */
function defined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function endpointOf(endpoint: Endpoint): Init<typeof EndpointSchema> {
  return { ...endpoint, transport: TRANSPORTS[endpoint.transport], labels: labelsOf(endpoint.labels) };
}

function trustOf({ domains, issuer, renewWithinMs }: Trust): Init<typeof TrustSchema> {
  return {
    issuer,
    renewWithinMs: BigInt(renewWithinMs),
    domains: domains.map(({ mesh, trustDomain, anchors }) => ({
      mesh,
      trustDomain,
      anchors: anchors.map(anchor => Uint8Array.from(anchor)),
    })),
  };
}

function labelsOf(labels: readonly Label[]): { name: string; value: string }[] {
  return labels.map(({ name, value }) => ({ name, value }));
}
