import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type AuthorizationSchema,
  type BackendSchema,
  type EndpointSchema,
  type HttpMatchSchema,
  type InboundPortSchema,
  type OutboundRouteSchema,
  type OutboundSchema,
  ServerMessageSchema,
  type TrustSchema,
  type UpsertSchema,
  type WorkloadSchema,
} from '../gen/weft/config/v1/config_pb.ts';
import type {
  Authorization,
  Backend,
  Clients,
  Endpoint,
  EndpointsDelta,
  HttpMatch,
  InboundPort,
  Label,
  Outbound,
  OutboundRoute,
  OutboundTarget,
  Resource,
  ResourceBody,
  Trust,
  Workload,
} from '../model/index.ts';
import { ACCESS_LOGS, PROTOCOLS, TRANSPORTS, UNKNOWN_DESTINATIONS } from './enums.ts';

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
      return { case: 'endpoints', value: { endpoints: body.endpoints.endpoints.map(endpointOf) } };
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
  return { destination, protocol: PROTOCOLS[protocol], kind: targetOf(target), labels: labelsOf(labels) };
}

function targetOf(target: OutboundTarget): NonNullable<Init<typeof OutboundSchema>['kind']> {
  switch (target.kind) {
    case 'routed':
      return {
        case: 'routed',
        value: { routes: target.routes.map(routeOf), defaultBackends: target.defaultBackends.map(backendOf) },
      };
    case 'endpoint':
      return { case: 'endpoint', value: endpointOf(target.endpoint) };
    case 'refused':
      return { case: 'refused', value: { reason: target.reason } };
    case 'passThrough':
    default:
      return { case: 'passThrough', value: {} };
  }
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

function endpointOf(endpoint: Endpoint): Init<typeof EndpointSchema> {
  return { ...endpoint, transport: TRANSPORTS[endpoint.transport], labels: labelsOf(endpoint.labels) };
}

function trustOf({ domains }: Trust): Init<typeof TrustSchema> {
  return {
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
