// What the two proxies of the pair hold: what the operator would send them for one Service with one endpoint, a Server that admits one identity,
// and everything else as it is by default.
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Protocol, Transport, UnknownDestination, UpsertSchema } from '../src/gen/weft/config/v1/config_pb.ts';

export const identities = {
  client: 'spiffe://cluster.local/ns/default/sa/client',
  server: 'spiffe://cluster.local/ns/default/sa/server',
} as const;

/** A service with one endpoint. */
interface Service {
  readonly name: string;
  readonly port: number;
  readonly appPort: number;
}

interface Options {
  readonly services: readonly Service[];
  readonly serviceAddress: string;
  readonly podAddress: string;
}

const upsert = (message: MessageInitShape<typeof UpsertSchema>): string =>
  Buffer.from(toBinary(UpsertSchema, create(UpsertSchema, message))).toString('base64');

const serverUid = '11111111-1111-4111-8111-111111111111';
const everywhere = [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }];

function workload(name: 'client' | 'server', options: Options): string {
  const labels = [
    { name: 'deployment', value: name },
    { name: 'namespace', value: 'default' },
    { name: 'pod', value: name },
  ];
  const open = {
    protocol: Protocol.DETECT,
    server: { kind: 'default', name: 'all-unauthenticated' },
    authorizations: [
      {
        authorization: { kind: 'default', name: 'all-unauthenticated' },
        networks: everywhere,
        clients: { case: 'unauthenticated' as const, value: {} },
      },
    ],
  };
  const granted = (port: number) => ({
    port,
    protocol: Protocol.DETECT,
    server: { group: 'policy.linkerd.io', kind: 'server', namespace: 'default', name: 'app' },
    authorizations: [
      {
        authorization: {
          group: 'policy.linkerd.io',
          kind: 'serverauthorization',
          namespace: 'default',
          name: 'client',
        },
        networks: everywhere,
        clients: { case: 'meshTls' as const, value: { identities: [identities.client] } },
      },
    ],
  });
  const appPorts = options.services.map(({ appPort }) => appPort);
  return upsert({
    name: 'workload',
    version: `${name}-1`,
    resource: {
      case: 'workload',
      value: {
        mesh: 'default',
        namespace: 'default',
        pod: name,
        podUid: name === 'server' ? serverUid : '22222222-2222-4222-8222-222222222222',
        identity: identities[name],
        labels,
        ports: name === 'server' ? appPorts.map(granted) : [],
        defaultPort: open,
        inboundPorts: appPorts,
        unknownDestination: UnknownDestination.PASS_THROUGH,
        podIps: name === 'server' ? [options.podAddress] : [],
      },
    },
  });
}

const trust = (anchor: Uint8Array): string =>
  upsert({
    name: 'trust',
    version: 'trust-1',
    resource: {
      case: 'trust',
      value: { domains: [{ mesh: 'default', trustDomain: 'cluster.local', anchors: [anchor] }] },
    },
  });

function destination({ name, port, appPort }: Service, { serviceAddress, podAddress }: Options): string[] {
  const service = { kind: 'service', namespace: 'default', name, port };
  const labels = [
    { name: 'dst_namespace', value: 'default' },
    { name: 'dst_service', value: name },
  ];
  const resource = `endpoints/default/${name}:${port}`;
  const endpoints = upsert({
    name: resource,
    version: 'endpoints-1',
    resource: {
      case: 'endpoints',
      value: {
        endpoints: [
          {
            address: podAddress,
            port: appPort,
            podUid: serverUid,
            identity: identities.server,
            transport: Transport.DIRECT,
            labels: [
              { name: 'dst_deployment', value: 'server' },
              { name: 'dst_pod', value: 'server' },
            ],
          },
        ],
      },
    },
  });
  const outbound = upsert({
    name: `outbound/${serviceAddress}:${port}`,
    version: 'outbound-1',
    resource: {
      case: 'outbound',
      value: {
        destination: service,
        protocol: Protocol.DETECT,
        labels,
        kind: {
          case: 'routed',
          value: {
            routes: [],
            defaultBackends: [{ weight: 1, backend: service, labels, target: { case: 'endpoints', value: resource } }],
          },
        },
      },
    },
  });
  return [endpoints, outbound];
}

/** The static configuration file of one half of the pair. */
export function staticConfig(
  half: 'client' | 'server',
  options: Options,
  material: { chainPem: string; keyPem: string; anchorPem: string; anchorDer: Uint8Array },
): string {
  const resources = [workload(half, options), trust(material.anchorDer)];
  if (half === 'client') resources.push(...options.services.flatMap(service => destination(service, options)));
  return JSON.stringify({
    identity: { chain_pem: material.chainPem, key_pem: material.keyPem },
    trust: [{ mesh: 'default', trust_domain: 'cluster.local', anchors_pem: material.anchorPem }],
    resources,
  });
}
