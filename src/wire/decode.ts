import { fromBinary } from '@bufbuild/protobuf';
import * as pb from '../gen/weft/config/v1/config_pb.ts';
import { err, ok, type Result } from '../kernel/index.ts';
import type {
  Authorization,
  Backend,
  BackendTarget,
  Balancing,
  Breaker,
  Clients,
  Ejection,
  Endpoint,
  EndpointsDelta,
  Fault,
  HashKey,
  HttpMatch,
  InboundPort,
  Label,
  Outbound,
  OutboundTarget,
  Ref,
  RequestPolicy,
  ResourceBody,
  Retry,
  Routed,
  SuccessRate,
  Timeouts,
  Workload,
} from '../model/index.ts';
import { ACCESS_LOGS, ALGORITHMS, PROTOCOLS, TRANSPORTS, UNKNOWN_DESTINATIONS, WireFault, wordOf } from './enums.ts';

export type ServerMessage =
  | {
      readonly kind: 'upsert';
      readonly nonce: bigint;
      readonly name: string;
      readonly version: string;
      readonly body: ResourceBody;
    }
  | {
      readonly kind: 'delta';
      readonly nonce: bigint;
      readonly name: string;
      readonly version: string;
      readonly delta: EndpointsDelta;
    }
  | { readonly kind: 'remove'; readonly nonce: bigint; readonly name: string };

/** Reads a ServerMessage, as a proxy does; the error says what cannot be understood. */
export function decodeServerMessage(bytes: Uint8Array): Result<ServerMessage, string> {
  try {
    return ok(messageOf(fromBinary(pb.ServerMessageSchema, bytes)));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

function messageOf({ nonce, kind }: pb.ServerMessage): ServerMessage {
  if (kind.case === 'remove') return { kind: 'remove', nonce, name: kind.value.name };
  if (kind.case === undefined) throw new WireFault('a ServerMessage says nothing that is known');
  const { name, version, resource } = kind.value;
  if (resource.case !== 'endpointsDelta') return { kind: 'upsert', nonce, name, version, body: bodyOf(resource) };
  const { baseVersion, upserted, removed } = resource.value;
  return {
    kind: 'delta',
    nonce,
    name,
    version,
    delta: { baseVersion, upserted: upserted.map(endpointOf), removed },
  };
}

function bodyOf(resource: Exclude<pb.Upsert['resource'], { case: 'endpointsDelta' }>): ResourceBody {
  switch (resource.case) {
    case 'workload':
      return { kind: 'workload', workload: workloadOf(resource.value) };
    case 'trust': {
      const domains = resource.value.domains.map(({ mesh, trustDomain, anchors }) => ({ mesh, trustDomain, anchors }));
      const { issuer, renewWithinMs } = resource.value;
      return { kind: 'trust', trust: { domains, issuer, renewWithinMs: Number(renewWithinMs) } };
    }
    case 'outbound':
      return { kind: 'outbound', outbound: outboundOf(resource.value) };
    case 'endpoints':
      return {
        kind: 'endpoints',
        endpoints: {
          endpoints: resource.value.endpoints.map(endpointOf),
          balancing: resource.value.balancing && balancingOf(resource.value.balancing),
        },
      };
    case undefined:
    default:
      throw new WireFault('an Upsert brings no resource that is known');
  }
}

function workloadOf(workload: pb.Workload): Workload {
  const {
    mesh,
    namespace,
    pod,
    podUid,
    identity,
    inboundPorts,
    logLevel,
    podIps,
    detectTimeoutMs,
    forwardedFor,
    applicationEnded,
  } = workload;
  return {
    mesh,
    namespace,
    pod,
    podUid,
    identity,
    inboundPorts,
    logLevel,
    podIps,
    detectTimeoutMs,
    forwardedFor,
    applicationEnded,
    labels: labelsOf(workload.labels),
    ports: workload.ports.map(inboundPortOf),
    defaultPort: inboundPortOf(present(workload.defaultPort, 'Workload.default_port')),
    unknownDestination: wordOf(UNKNOWN_DESTINATIONS, workload.unknownDestination, 'Workload.unknown_destination'),
    accessLog: wordOf(ACCESS_LOGS, workload.accessLog, 'Workload.access_log'),
  };
}

function inboundPortOf({
  port,
  protocol,
  server,
  authorizations,
  routes,
  unmatchedNotFound,
  audit,
  maxRequests,
  maxConnectionAgeMs,
}: pb.InboundPort): InboundPort {
  return {
    port,
    protocol: wordOf(PROTOCOLS, protocol, 'InboundPort.protocol'),
    server: refOf(server, 'InboundPort.server'),
    authorizations: authorizations.map(authorizationOf),
    routes: routes.map(route => ({
      route: refOf(route.route, 'InboundRoute.route'),
      matches: route.matches.map(matchOf),
      authorizations: route.authorizations.map(authorizationOf),
    })),
    unmatchedNotFound,
    audit,
    maxRequests,
    maxConnectionAgeMs,
  };
}

function authorizationOf({ authorization, networks, clients }: pb.Authorization): Authorization {
  return {
    authorization: refOf(authorization, 'Authorization.authorization'),
    networks: networks.map(({ cidr, except }) => ({ cidr, except })),
    clients: clientsOf(clients),
  };
}

function clientsOf(clients: pb.Authorization['clients']): Clients {
  if (clients.case === undefined) throw new WireFault('an Authorization says nothing that is known of clients');
  if (clients.case !== 'meshTls') return { kind: clients.case };
  const { any, identities, suffixes } = clients.value;
  return { kind: 'meshTls', any, identities, suffixes };
}

function matchOf({ path, headers, query, methods }: pb.HttpMatch): HttpMatch {
  return {
    path: path === undefined ? undefined : valueOf(path.kind, 'PathMatch'),
    headers: headers.map(({ name, kind }) => ({ name, ...valueOf(kind, 'HeaderMatch') })),
    query: query.map(({ name, kind }) => ({ name, ...valueOf(kind, 'QueryMatch') })),
    methods,
  };
}

function valueOf<K extends { readonly case: string | undefined; readonly value?: string | undefined }>(
  kind: K,
  field: string,
): { readonly kind: NonNullable<K['case']>; readonly value: string } {
  if (kind.case === undefined || kind.value === undefined)
    throw new WireFault(`a ${field} asks for nothing that is known`);
  return { kind: kind.case, value: kind.value };
}

function outboundOf({ destination, protocol, kind, labels, named }: pb.Outbound): Outbound {
  return {
    destination: refOf(destination, 'Outbound.destination'),
    protocol: wordOf(PROTOCOLS, protocol, 'Outbound.protocol'),
    target: targetOf(kind, named),
    labels: labelsOf(labels),
  };
}

function targetOf(kind: pb.Outbound['kind'], named: pb.Routed | undefined): OutboundTarget {
  switch (kind.case) {
    case 'routed':
      return { kind: 'routed', ...routedOf(kind.value) };
    case 'endpoint':
      return { kind: 'endpoint', endpoint: endpointOf(kind.value), named: named && routedOf(named) };
    case 'passThrough':
      return { kind: 'passThrough' };
    case 'refused':
      return { kind: 'refused', reason: kind.value.reason };
    case undefined:
    default:
      throw new WireFault('an Outbound goes nowhere that is known');
  }
}

function routedOf({ routes, defaultBackends, policies }: pb.Routed): Routed {
  return {
    routes: routes.map(({ route, matches, backends, cedeUnavailable }) => ({
      route: refOf(route, 'OutboundRoute.route'),
      matches: matches.map(matchOf),
      backends: backends.map(backendOf),
      cedeUnavailable,
    })),
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
}: pb.RequestPolicy): RequestPolicy {
  return {
    policy: refOf(policy, 'RequestPolicy.policy'),
    rule,
    matches: matches.map(matchOf),
    timeouts: timeouts && timeoutsOf(timeouts),
    retry: retry && retryOf(retry),
    breaker: breaker && breakerOf(breaker),
    maxRequests,
    faults: faults.map(faultOf),
  };
}

function timeoutsOf({ requestMs, tryMs, responseMs, idleMs }: pb.Timeouts): Timeouts {
  return { requestMs, tryMs, responseMs, idleMs };
}

function retryOf(retry: pb.Retry): Retry {
  const { limit, grpcCodes, onConnectionError, onTimeout, methods, maxBodyBytes, budget } = retry;
  return {
    limit,
    statuses: retry.statuses.map(({ first, last }) => ({ first, last })),
    grpcCodes,
    onConnectionError,
    onTimeout,
    methods,
    maxBodyBytes,
    budget: budget && { percent: budget.percent, minPerSecond: budget.minPerSecond, ttlMs: budget.ttlMs },
    backoffMs: retry.backoffMs,
    backoffMaxMs: retry.backoffMaxMs,
    maxRetryAfterMs: retry.maxRetryAfterMs,
  };
}

function breakerOf({ consecutiveFailures, successRate, pauseMs, pauseMaxMs }: pb.Breaker): Breaker {
  return { consecutiveFailures, successRate: successRate && successRateOf(successRate), pauseMs, pauseMaxMs };
}

function successRateOf({ thresholdPermille, windowMs, minRequests }: pb.SuccessRate): SuccessRate {
  return { thresholdPermille, windowMs, minRequests };
}

function faultOf(fault: pb.Fault): Fault {
  const { name, identities, sharePpm, delayMs, abortStatus, abortGrpc, untilUnixMs, successFloorPermille } = fault;
  return {
    name,
    matches: fault.matches.map(matchOf),
    identities,
    sharePpm,
    delayMs,
    abortStatus,
    abortGrpc,
    untilUnixMs: Number(untilUnixMs),
    successFloorPermille,
  };
}

function balancingOf({ algorithm, hashKey, slowStartMs, ejection, localZone }: pb.Balancing): Balancing {
  return {
    algorithm: wordOf(ALGORITHMS, algorithm, 'Balancing.algorithm'),
    hashKey: hashKey && hashKeyOf(hashKey.kind),
    slowStartMs,
    ejection: ejection && ejectionOf(ejection),
    localZone,
  };
}

function hashKeyOf(kind: pb.HashKey['kind']): HashKey {
  if (kind.case === undefined) throw new WireFault('a HashKey asks for nothing that is known');
  return kind.case === 'header' || kind.case === 'cookie' ? { kind: kind.case, name: kind.value } : { kind: kind.case };
}

function ejectionOf(ejection: pb.Ejection): Ejection {
  const { consecutiveFailures, successRate, pauseMs, pauseMaxMs, maxPercent, panicPercent } = ejection;
  return {
    consecutiveFailures,
    successRate: successRate && successRateOf(successRate),
    pauseMs,
    pauseMaxMs,
    maxPercent,
    panicPercent,
  };
}

function backendOf({ weight, backend, target, labels }: pb.Backend): Backend {
  return {
    weight,
    backend: refOf(backend, 'Backend.backend'),
    target: backendTargetOf(target),
    labels: labelsOf(labels),
  };
}

function backendTargetOf(target: pb.Backend['target']): BackendTarget {
  if (target.case === 'endpoints') return { kind: 'endpoints', name: target.value };
  if (target.case === 'errorStatus') return { kind: 'errorStatus', status: target.value };
  throw new WireFault('a Backend has no target that is known');
}

function endpointOf({ address, port, podUid, identity, transport, zone, labels }: pb.Endpoint): Endpoint {
  return {
    address,
    port,
    podUid,
    identity,
    transport: wordOf(TRANSPORTS, transport, 'Endpoint.transport'),
    zone,
    labels: labelsOf(labels),
  };
}

function refOf(ref: pb.Ref | undefined, field: string): Ref {
  const { group, kind, namespace, name, port } = present(ref, field);
  return { group, kind, namespace, name, port };
}

function labelsOf(labels: readonly pb.Label[]): readonly Label[] {
  return labels.map(({ name, value }) => ({ name, value }));
}

function present<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new WireFault(`${field} is not set`);
  return value;
}
