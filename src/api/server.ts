import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import {
  ConditionsStatus,
  exactlyOne,
  LabelSelectorSchema,
  PortNumberOrName,
  type Static,
  StringEnum,
  Type,
} from './schema.ts';

const PROXY_PROTOCOLS = ['unknown', 'HTTP/1', 'HTTP/2', 'gRPC', 'opaque', 'TLS'] as const;

export const INBOUND_POLICIES = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
] as const;
export type InboundPolicy = (typeof INBOUND_POLICIES)[number];

export const ServerSpec = Type.Object(
  {
    podSelector: Type.Optional(LabelSelectorSchema('Pods in the namespace of this object; empty selects all of them.')),
    externalWorkloadSelector: Type.Optional(
      LabelSelectorSchema(
        'Accepted so that existing objects can be stored; workloads outside the cluster are not supported.',
      ),
    ),
    port: PortNumberOrName({
      description:
        'Port number, or the name of a container port. A name may stand for several numbers, each pod by its own containers.',
    }),
    proxyProtocol: StringEnum(PROXY_PROTOCOLS, {
      description: 'How the bytes on this port are read. `unknown` looks at the first bytes.',
      default: 'unknown',
    }),
    accessPolicy: StringEnum(INBOUND_POLICIES, {
      description:
        'Who is let in beside those that authorizations name. `deny` adds nobody; `audit` lets everybody in and counts who would have been refused.',
      default: 'deny',
    }),
  },
  { description: 'Which port of which pods.', ...exactlyOne('podSelector', 'externalWorkloadSelector') },
);

export type ServerSpec = Static<typeof ServerSpec>;

export const server = {
  group: 'policy.linkerd.io',
  kind: 'Server',
  plural: 'servers',
  singular: 'server',
  shortNames: ['srv'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [
    {
      name: 'v1alpha1',
      deprecated: 'policy.linkerd.io/v1alpha1 Server is deprecated; use policy.linkerd.io/v1beta3 Server',
    },
    {
      name: 'v1beta1',
      deprecated: 'policy.linkerd.io/v1beta1 Server is deprecated; use policy.linkerd.io/v1beta3 Server',
    },
    { name: 'v1beta2' },
    { name: 'v1beta3', storage: true },
  ],
  description:
    'Puts one port of the selected pods under rules: its protocol, and that only those may call it whom a ServerAuthorization (or `accessPolicy`) lets in. Where several Servers select the same port of a pod, the oldest rules it.',
  spec: ServerSpec,
  specRequired: true,
  status: ConditionsStatus,
  columns: [
    { name: 'Port', type: 'string', jsonPath: '.spec.port', description: 'The port.' },
    { name: 'Protocol', type: 'string', jsonPath: '.spec.proxyProtocol', description: 'The protocol on it.' },
    {
      name: 'Access Policy',
      type: 'string',
      jsonPath: '.spec.accessPolicy',
      description: 'Who is let in without an authorization.',
    },
    ...READY_COLUMNS,
  ],
  example: `apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata:
  name: podinfo-http
  namespace: demo
spec:
  podSelector:
    matchLabels:
      app: podinfo
  port: http
  proxyProtocol: HTTP/1
`,
} as const satisfies KindDefinition;
