// What the operator would send: a server pod whose application anybody may call, and a client pod that knows one Service in front of it.
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Protocol, Transport, UnknownDestination, UpsertSchema } from '../../../src/gen/weft/config/v1/config_pb.ts';
import { type Authority, type Half, identities } from './certificates.ts';

/** What applications call; nothing listens there. */
export const service = { host: '10.99.0.10', port: 80 } as const;

export interface Application {
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol;
}

const upsert = (message: MessageInitShape<typeof UpsertSchema>): string =>
  Buffer.from(toBinary(UpsertSchema, create(UpsertSchema, message))).toString('base64');

const endpointsName = 'endpoints/demo/app:80';
const uid = (half: Half): string => `uid-${half}`;

function workload(half: Half, { port, protocol }: Application): string {
  const open = (of: Protocol) => ({
    protocol: of,
    server: { kind: 'default', name: 'all-unauthenticated' },
    authorizations: [
      {
        authorization: { kind: 'default', name: 'all-unauthenticated' },
        networks: [{ cidr: '0.0.0.0/0' }],
        clients: { case: 'unauthenticated' as const, value: {} },
      },
    ],
  });
  return upsert({
    name: 'workload',
    version: '1',
    resource: {
      case: 'workload',
      value: {
        mesh: 'default',
        namespace: 'demo',
        pod: half,
        podUid: uid(half),
        identity: identities[half],
        ports: half === 'server' ? [{ port, ...open(protocol) }] : [],
        defaultPort: open(Protocol.DETECT),
        unknownDestination: UnknownDestination.REFUSE,
      },
    },
  });
}

function outbound({ host, port, protocol }: Application): readonly string[] {
  const named = { kind: 'service', namespace: 'demo', name: 'app', port: service.port };
  const endpoint = { address: host, port, podUid: uid('server'), identity: identities.server };
  return [
    upsert({
      name: endpointsName,
      version: '1',
      resource: { case: 'endpoints', value: { endpoints: [{ ...endpoint, transport: Transport.DIRECT }] } },
    }),
    upsert({
      name: `outbound/${service.host}:${service.port}`,
      version: '1',
      resource: {
        case: 'outbound',
        value: {
          destination: named,
          protocol,
          kind: {
            case: 'routed',
            value: {
              routes: [],
              defaultBackends: [{ weight: 1, backend: named, target: { case: 'endpoints', value: endpointsName } }],
            },
          },
        },
      },
    }),
  ];
}

/** The file that one half of a pair is started with. */
export async function staticConfig(half: Half, app: Application, authority: Authority): Promise<string> {
  const { chainPem, keyPem } = await authority.leaf(half);
  return JSON.stringify({
    identity: { chain_pem: chainPem, key_pem: keyPem },
    trust: [{ mesh: 'default', trust_domain: 'cluster.local', anchors_pem: authority.anchorPem }],
    resources: [workload(half, app), ...(half === 'client' ? outbound(app) : [])],
  });
}
