// For tests: a proxy that speaks the protocol over real gRPC and TLS, and the authenticator that believes it.
import { Client, type ClientDuplexStream, Metadata, type StatusObject, credentials } from '@grpc/grpc-js';
import type { KeyedCertificate } from '../../identity/index.ts';
import { AppError, err, ok } from '../../kernel/index.ts';
import type { PodAuthenticator } from '../../model/index.ts';
import { type ClientMessage, type ServerMessage, decodeServerMessage, encodeClientMessage } from '../../wire/index.ts';
import { CONFIG_SERVICE } from '../grpc-server.ts';

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
