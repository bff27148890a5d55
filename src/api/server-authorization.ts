import { READY_COLUMNS, type KindDefinition } from './definition.ts';
import {
  ConditionsStatus,
  DNS_LABEL,
  DNS_SUBDOMAIN,
  exactlyOne,
  LabelSelectorSchema,
  type Static,
  Type,
} from './schema.ts';

/** `*`, `*.suffix`, a DNS-like identity, or a SPIFFE URI. */
const IDENTITY_PATTERN =
  '^(spiffe://[a-z0-9._-]+(/[a-zA-Z0-9._-]+)+|(\\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$';

const NetworkSchema = Type.Object(
  {
    cidr: Type.String({ description: 'Address range, e.g. 10.0.0.0/8, or one address.', maxLength: 49 }),
    except: Type.Optional(
      Type.Array(Type.String({ description: 'Address range within `cidr`.', maxLength: 49 }), {
        description: 'Holes in the range.',
        maxItems: 256,
      }),
    ),
  },
  { description: 'An address range with holes.' },
);

const MeshTlsSchema = Type.Object(
  {
    unauthenticatedTLS: Type.Optional(
      Type.Boolean({ description: "Lets in anybody who speaks the mesh's TLS, with an identity or without." }),
    ),
    identities: Type.Optional(
      Type.Array(
        Type.String({
          description:
            'Identity of a client: its DNS form, `*.suffix` for all below a suffix, `*` for every client of the mesh, or a spiffe:// URI.',
          pattern: IDENTITY_PATTERN,
          maxLength: 512,
        }),
        { description: 'Identities that are let in.', maxItems: 1024 },
      ),
    ),
    serviceAccounts: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ description: 'Name of the ServiceAccount.', pattern: DNS_SUBDOMAIN, maxLength: 253 }),
            namespace: Type.Optional(
              Type.String({
                description: 'Its namespace; absent, that of this object.',
                pattern: DNS_LABEL,
                maxLength: 63,
              }),
            ),
          },
          { description: 'A ServiceAccount.' },
        ),
        { description: 'ServiceAccounts whose pods are let in.', maxItems: 1024 },
      ),
    ),
  },
  { description: "Clients that speak the mesh's TLS." },
);

export const ServerAuthorizationSpec = Type.Object(
  {
    server: Type.Object(
      {
        name: Type.Optional(
          Type.String({ description: 'Name of one Server.', pattern: DNS_SUBDOMAIN, maxLength: 253 }),
        ),
        selector: Type.Optional(LabelSelectorSchema('Servers by their labels; empty selects all of the namespace.')),
      },
      { description: 'Servers in the namespace of this object.', ...exactlyOne('name', 'selector') },
    ),
    client: Type.Object(
      {
        networks: Type.Optional(
          Type.Array(NetworkSchema, {
            description:
              "Where the client's address must lie. Absent or empty: the cluster networks of the mesh, not everywhere.",
            maxItems: 256,
          }),
        ),
        unauthenticated: Type.Optional(Type.Boolean({ description: 'Lets in clients without mesh TLS as well.' })),
        meshTLS: Type.Optional(MeshTlsSchema),
      },
      { description: 'Who is let in: address and authentication must both fit.' },
    ),
  },
  { description: 'Who may call which Servers.' },
);

export type ServerAuthorizationSpec = Static<typeof ServerAuthorizationSpec>;

export const serverAuthorization = {
  group: 'policy.linkerd.io',
  kind: 'ServerAuthorization',
  plural: 'serverauthorizations',
  singular: 'serverauthorization',
  shortNames: ['saz', 'serverauthz', 'srvauthz'],
  categories: ['weft'],
  scope: 'Namespaced',
  versions: [
    {
      name: 'v1alpha1',
      deprecated:
        'policy.linkerd.io/v1alpha1 ServerAuthorization is deprecated; use policy.linkerd.io/v1beta1 ServerAuthorization',
    },
    { name: 'v1beta1', storage: true },
  ],
  description:
    'Lets clients call Servers. Authorizations only ever add: a client is let in when one of them admits it. One that is invalid admits nobody, and says so in its conditions.',
  spec: ServerAuthorizationSpec,
  specRequired: true,
  status: ConditionsStatus,
  columns: [
    { name: 'Server', type: 'string', jsonPath: '.spec.server.name', description: 'The Server, where it is named.' },
    ...READY_COLUMNS,
  ],
  example: `apiVersion: policy.linkerd.io/v1beta1
kind: ServerAuthorization
metadata:
  name: podinfo-from-frontend
  namespace: demo
spec:
  server:
    name: podinfo-http
  client:
    meshTLS:
      serviceAccounts:
        - name: frontend
`,
} as const satisfies KindDefinition;
