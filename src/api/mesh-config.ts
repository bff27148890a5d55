import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import { identitySchema, proxySchema } from './mesh-config-parts.ts';
import { Conditions, DNS_SUBDOMAIN, Duration, PORT_LIST, type Static, StringEnum, Type } from './schema.ts';
import { INBOUND_POLICIES } from './server.ts';

const cidrs = (description: string, defaults: readonly string[]) =>
  Type.Array(Type.String({ description: 'Address range, e.g. 10.0.0.0/8.', maxLength: 49 }), {
    description,
    maxItems: 256,
    default: [...defaults],
  });

const ports = (description: string, fallback: string) =>
  Type.String({
    description: `${description} Ports and ranges with commas between, e.g. \`25,5000-5010\`.`,
    pattern: PORT_LIST,
    maxLength: 1024,
    default: fallback,
  });

export const MeshConfigSpec = Type.Object(
  {
    trustDomain: Type.String({
      description:
        'Names the mesh in the identity of every workload: spiffe://<trust domain>/ns/<namespace>/sa/<service account>. Meshes that must not trust each other need different ones.',
      pattern: DNS_SUBDOMAIN,
      maxLength: 253,
      default: 'cluster.local',
    }),
    trusts: Type.Array(Type.String({ description: 'Name of a MeshConfig.', pattern: DNS_SUBDOMAIN, maxLength: 63 }), {
      description:
        'Other meshes of this cluster whose identities count here. It takes both: only where each of two meshes lists the other do their workloads speak mutual TLS, each with the identity of its own trust domain, which is believed under the roots of its own mesh alone. A mesh that does not list this one back, does not exist, or shares its trust domain with an older mesh is not trusted, and the condition ResolvedRefs says so.',
      maxItems: 64,
      default: [],
    }),
    isolation: StringEnum(['Permissive', 'Strict'], {
      description:
        'What becomes of callers without a verified identity of this mesh or of one that it trusts (`trusts`): proxies of other meshes, pods without a proxy, nodes, and whoever comes from outside. Permissive: default policies and authorizations decide about them. Strict: they are refused (403, PERMISSION_DENIED to gRPC, a closed connection to anything else), also where a default policy or a ServerAuthorization lets unauthenticated callers in; `*-unauthenticated` and `audit` then mean callers with an identity. What stays: health probes, which are let in by their exact method and path from `probeNetworks`; what a pod sends to itself; and ports that do not pass through the proxy (`skipInboundPorts`). Calls that pods of this mesh make are not restricted.',
      default: 'Permissive',
    }),
    identity: identitySchema,
    defaultInboundPolicy: StringEnum(INBOUND_POLICIES, {
      description:
        'Who may call ports without a Server. The annotation weft.dev/default-inbound-policy of a pod or a namespace wins over it.',
      default: 'all-unauthenticated',
    }),
    clusterNetworks: cidrs(
      'Addresses that count as the cluster, for `cluster-*` policies and authorizations without networks.',
      ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8'],
    ),
    probeNetworks: cidrs('Addresses from which the health probes of the kubelet may come.', ['0.0.0.0/0', '::/0']),
    opaquePorts: ports(
      'Ports on which bytes are passed on without a look, because the server may speak first.',
      '25,587,3306,4444,5432,6379,9300,11211',
    ),
    skipInboundPorts: ports('Ports whose incoming connections do not pass through the proxy.', '4567,4568'),
    skipOutboundPorts: ports('Destination ports whose connections do not pass through the proxy.', '4567,4568'),
    unknownDestination: StringEnum(['PassThrough', 'Refuse'], {
      description:
        'What happens to connections to addresses that are no Service, no pod and no node. Link-local ones, such as metadata services, always pass through.',
      default: 'PassThrough',
    }),
    transport: StringEnum(['Auto', 'Direct', 'Redirect'], {
      description:
        'How proxies reach each other: straight at the port of the peer proxy (Direct), or at the port of the application (Redirect). Auto is Direct, except for pods that a NetworkPolicy for ingress selects.',
      default: 'Auto',
    }),
    accessLog: StringEnum(['Off', 'Apache', 'Json'], {
      description: 'Format of the access log of the proxies. The annotation weft.dev/access-log of a pod wins over it.',
      default: 'Off',
    }),
    forwardedFor: StringEnum(['Enabled', 'Disabled'], {
      description:
        'Whether applications are told in X-Forwarded-For who called, over HTTP. What callers without a verified identity send of X-Forwarded-For, Forwarded and X-Real-IP is then taken away; what others send is kept, and the address of the caller comes last. The annotation weft.dev/forwarded-for (`enabled`, `disabled`) of a pod or a namespace wins over it.',
      default: 'Disabled',
    }),
    detectTimeout: Duration({
      description: 'How long a proxy waits for the first bytes of a client before it takes the connection as opaque.',
      default: '10s',
    }),
    identityAliases: Type.Array(
      Type.String({
        description: 'What follows `<service account>.<namespace>.`',
        pattern: DNS_SUBDOMAIN,
        maxLength: 253,
      }),
      {
        description:
          'Endings of DNS identities that mean this mesh, e.g. `serviceaccount.identity.linkerd.cluster.local`, so that policies that were written for another control plane go on working.',
        maxItems: 16,
        default: [],
      },
    ),
    proxy: proxySchema,
  },
  { description: 'Settings of the mesh. Every field has a default.', default: {} },
);

export type MeshConfigSpec = Static<typeof MeshConfigSpec>;

const MeshConfigStatus = Type.Object(
  {
    conditions: Type.Optional(Conditions),
    identity: Type.Optional(
      Type.Object(
        {
          activeIssuer: Type.Optional(
            Type.String({ description: 'The immutable Secret that signs now.', maxLength: 253 }),
          ),
          nextIssuer: Type.Optional(
            Type.String({ description: 'The immutable Secret that will sign next.', maxLength: 253 }),
          ),
          notAfter: Type.Optional(Type.String({ description: 'When the active issuer expires.', format: 'date-time' })),
          phase: Type.Optional(
            StringEnum(['Stable', 'Trusting', 'Renewing'], {
              description:
                'Trusting: the root of the next issuer is made known. Renewing: proxies get certificates of the active one. Stable: neither.',
            }),
          ),
          waiting: Type.Optional(Type.Integer({ description: 'Proxies that the phase waits for.', minimum: 0 })),
          waitingFor: Type.Optional(
            Type.Array(Type.String({ maxLength: 512 }), {
              description: 'The first of them, as `namespace/pod`.',
              maxItems: 10,
            }),
          ),
        },
        { description: 'The state of the issuer.' },
      ),
    ),
  },
  { description: 'Written by the control plane.' },
);

export const meshConfig = {
  group: 'weft.dev',
  kind: 'MeshConfig',
  plural: 'meshconfigs',
  singular: 'meshconfig',
  shortNames: ['mesh'],
  categories: ['weft'],
  scope: 'Cluster',
  versions: [{ name: 'v1alpha1', storage: true }],
  description:
    'One mesh. The mesh of a namespace is named by its label weft.dev/mesh; without the label it is the MeshConfig `default`.',
  spec: MeshConfigSpec,
  specRequired: false,
  status: MeshConfigStatus,
  columns: [
    { name: 'Trust Domain', type: 'string', jsonPath: '.spec.trustDomain', description: 'The trust domain.' },
    ...READY_COLUMNS,
  ],
  example: `apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata:
  name: default
spec:
  trustDomain: cluster.local
  identity:
    mode: CertManager
    issuerRef:
      name: weft-trust-anchor
  defaultInboundPolicy: all-unauthenticated
`,
} as const satisfies KindDefinition;
