// For tests: a source whose content is set by hand, resources with sane defaults, and a proxy that speaks the protocol over real gRPC and TLS.
import { type ClientDuplexStream, Client, Metadata, type StatusObject, credentials } from '@grpc/grpc-js';
import type { KeyedCertificate } from '../identity/index.ts';
import { AppError, type ObjectKey, contentHash, err, ok, podKey } from '../kernel/index.ts';
import type { ConfigSource, Endpoint, PodAuthenticator, Resource, ResourceBody, Who } from '../model/index.ts';
import { type ClientMessage, type ServerMessage, decodeServerMessage, encodeClientMessage } from '../wire/index.ts';
import { CONFIG_SERVICE } from './grpc-server.ts';

export function aWho(pod: string, mesh = 'default', node = 'n1'): Who {
  return { view: { mesh, namespace: 'demo', zone: '', node }, podKey: podKey('demo', pod) };
}

export interface TestSource extends ConfigSource {
  readonly pods: Map<ObjectKey, Who>;
  /** By name; `workload` of any pod unless `workload <pod key>` is set. */
  readonly resources: Map<string, Resource>;
  /** How often a resource was asked for. */
  readonly asked: { count: number };
  publish(): void;
}

export function aSource(pods: readonly Who[] = []): TestSource {
  const listeners = new Set<() => void>();
  const known = new Map(pods.map(who => [who.podKey, who]));
  const resources = new Map<string, Resource>();
  const asked = { count: 0 };
  let generation = 1;
  for (const resource of [aResource('workload', 'w1'), aResource('trust', 't1')])
    resources.set(resource.name, resource);
  return {
    pods: known,
    resources,
    asked,
    resource: (who, name) => {
      asked.count += 1;
      return resources.get(`${name} ${who.podKey}`) ?? resources.get(name);
    },
    view: key => known.get(key),
    onPublish: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get generation() {
      return generation;
    },
    publish: () => {
      generation += 1;
      for (const listener of listeners) listener();
    },
  };
}

/** Something of the right kind for the name, whose content (and so whose version) is told apart by `text`. */
export function aResource(name: string, text: string, derivedFrom: readonly ObjectKey[] = []): Resource {
  return resourceOf(name, bodyOf(name, text), derivedFrom);
}

export function someEndpoints(name: string, endpoints: readonly Partial<Endpoint>[]): Resource {
  const full = endpoints.map(anEndpoint);
  return resourceOf(name, { kind: 'endpoints', endpoints: { endpoints: full } }, []);
}

/** An outbound resource that names endpoints resources. */
export function anOutbound(name: string, text: string, endpoints: readonly string[]): Resource {
  const backends = endpoints.map(target => ({
    weight: 1,
    backend: aRef(text),
    target: { kind: 'endpoints' as const, name: target },
    labels: [],
  }));
  const target = { kind: 'routed' as const, routes: [], defaultBackends: backends };
  return resourceOf(
    name,
    { kind: 'outbound', outbound: { destination: aRef(text), protocol: 'detect', target, labels: [] } },
    [],
  );
}

function resourceOf(name: string, body: ResourceBody, derivedFrom: readonly ObjectKey[]): Resource {
  return { name, version: contentHash(body), derivedFrom: derivedFrom.map(key => ({ key, generation: 1 })), body };
}

const aRef = (name: string) => ({ group: '', kind: 'Service', namespace: 'demo', name, port: 80 });

function anEndpoint(overrides: Partial<Endpoint>): Endpoint {
  const base = {
    address: '10.0.0.1',
    port: 8080,
    podUid: 'u',
    identity: '',
    transport: 'plain',
    zone: '',
    labels: [],
  } as const;
  return { ...base, ...overrides };
}

function bodyOf(name: string, text: string): ResourceBody {
  if (name === 'trust')
    return { kind: 'trust', trust: { domains: [{ mesh: 'default', trustDomain: text, anchors: [] }] } };
  if (name.startsWith('endpoints/'))
    return { kind: 'endpoints', endpoints: { endpoints: [anEndpoint({ podUid: text })] } };
  if (name.startsWith('outbound/')) {
    const target = { kind: 'refused' as const, reason: text };
    return { kind: 'outbound', outbound: { destination: aRef('web'), protocol: 'detect', target, labels: [] } };
  }
  const defaultPort = {
    port: 0,
    protocol: 'detect',
    server: aRef('any'),
    authorizations: [],
    routes: [],
    unmatchedNotFound: false,
    audit: false,
  } as const;
  const workload = {
    mesh: 'default',
    namespace: 'demo',
    pod: text,
    podUid: 'u',
    identity: '',
    labels: [],
    ports: [],
    defaultPort,
  } as const;
  const rest = {
    inboundPorts: [],
    unknownDestination: 'passThrough',
    accessLog: 'off',
    logLevel: '',
    podIps: [],
    detectTimeoutMs: 0,
  } as const;
  return { kind: 'workload', workload: { ...workload, ...rest } };
}

/** A token is the name of its pod; `bad` is refused. */
export const anAuthenticator: PodAuthenticator = {
  authenticate: token =>
    Promise.resolve(
      token === 'bad'
        ? err(new AppError('unauthenticated', 'the token is not valid'))
        : ok({ namespace: 'demo', pod: token, uid: `uid-${token}`, serviceAccount: 'web' }),
    ),
};

export interface TestProxy {
  readonly received: ServerMessage[];
  /** Resolves when the stream has ended. */
  readonly ended: Promise<StatusObject>;
  send(message: ClientMessage): void;
  /** The message with this index, acknowledged or not; waits up to five seconds. */
  message(index: number): Promise<ServerMessage>;
  close(): void;
}

export interface TestProxyOptions {
  readonly port: number;
  readonly root: KeyedCertificate;
  readonly token: string;
  readonly serverName?: string;
  readonly held?: readonly { readonly name: string; readonly version: string }[];
  /** Default true: everything is acknowledged at once. */
  readonly acknowledge?: boolean;
  readonly protocol?: number;
}

export function connectProxy(options: TestProxyOptions): TestProxy {
  const {
    port,
    root,
    token,
    serverName = 'operator.default.weft.dev',
    held = [],
    acknowledge = true,
    protocol = 1,
  } = options;
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(root.certificatePem)), {
    'grpc.ssl_target_name_override': serverName,
    'grpc.default_authority': serverName,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
  });
  const metadata = new Metadata();
  if (token !== '') metadata.set('authorization', `Bearer ${token}`);
  const { path, requestSerialize, responseDeserialize } = CONFIG_SERVICE.stream;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  const received: ServerMessage[] = [];
  const waiters = new Set<() => void>();
  const send = (message: ClientMessage): void => void call.write(Buffer.from(encodeClientMessage(message)));
  call.on('data', (bytes: Buffer) => {
    const message = decodeServerMessage(bytes);
    if (!message.ok) throw new Error(message.error);
    received.push(message.value);
    if (acknowledge) send({ kind: 'ack', nonce: message.value.nonce });
    for (const waiter of waiters) waiter();
  });
  call.on('error', () => undefined);
  const ended = new Promise<StatusObject>(resolve => {
    call.once('status', (status: StatusObject) => {
      client.close();
      resolve(status);
    });
  });
  send({ kind: 'hello', proxyVersion: 'test', protocol, held });
  return {
    received,
    ended,
    send,
    message: index =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          const message = received[index];
          if (message === undefined) return;
          clearTimeout(timer);
          waiters.delete(settle);
          resolve(message);
        };
        const timer = setTimeout(() => {
          waiters.delete(settle);
          reject(new Error(`message ${index} did not come; there are ${received.length}`));
        }, 5_000);
        waiters.add(settle);
        settle();
      }),
    close: () => {
      call.cancel();
      client.close();
    },
  };
}
