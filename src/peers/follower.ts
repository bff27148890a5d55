// The side that is told: one stream to one other replica, made anew for ever. Each attempt reads certificate and roots as they are then.
import { Client, type ClientDuplexStream, credentials as grpcCredentials, type StatusObject } from '@grpc/grpc-js';
import { operatorServerName } from '../identity/index.ts';
import { AppError } from '../kernel/index.ts';
import { createBackoff, type Logger, sleep } from '../runtime/index.ts';
import { decodeTellerMessage, encodeFollowerHello, type PeerHello, type PeerUpdate } from '../wire/index.ts';
import { type PeerCredentials, serverFault } from './identity.ts';
import { PEERS_SERVICE, protocolFault } from './service.ts';

/** One proxy with all the resources that it may hold. */
const MESSAGE_BYTES = 16 * 1024 * 1024;
/** To connect, shake hands and be greeted. */
const GREETING_MS = 10_000;

export interface FollowerOptions {
  readonly replica: string;
  /** Where it is now; asked for each attempt. */
  readonly address: () => string;
  readonly credentials: () => PeerCredentials | undefined;
  readonly hello: PeerHello;
  readonly onBegin: (hello: PeerHello) => void;
  readonly onUpdate: (update: PeerUpdate) => void;
  readonly onLost: (reason: string) => void;
  readonly log: Logger;
  readonly random: () => number;
  readonly keepaliveMs: number;
}

/** Works until `signal` aborts; never rejects. */
export async function follow(options: FollowerOptions, signal: AbortSignal): Promise<void> {
  const { replica, log, random } = options;
  const backoff = createBackoff({ baseMs: 200, maxMs: 5_000, minMs: 50, random });
  while (!signal.aborted) {
    const reason = await stream(options, () => backoff.reset(), signal);
    options.onLost(reason);
    if (signal.aborted) return;
    const delayMs = backoff.nextMs();
    log.info('stream to another replica lost', { peer: replica, reason, delayMs });
    await sleep(delayMs, signal);
  }
}

/** Resolves with the reason of its end. */
async function stream(options: FollowerOptions, onGood: () => void, signal: AbortSignal): Promise<string> {
  const held = options.credentials();
  if (held === undefined) return 'this replica has no certificate yet';
  const address = options.address();
  const client = new Client(`${address.startsWith('[') ? 'ipv6' : 'ipv4'}:${address}`, secured(held), {
    'grpc.ssl_target_name_override': operatorServerName(held.mesh),
    'grpc.default_authority': operatorServerName(held.mesh),
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.keepalive_time_ms': options.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.keepaliveMs,
    'grpc.keepalive_permit_without_calls': 1,
  });
  try {
    return await converse(client, options, onGood, signal);
  } finally {
    client.close();
  }
}

function converse(client: Client, options: FollowerOptions, onGood: () => void, signal: AbortSignal): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = PEERS_SERVICE.follow;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
  );
  return new Promise(resolve => {
    let greeted = false;
    let fault: string | undefined;
    const fail = (reason: string): void => {
      fault ??= reason;
      call.cancel();
    };
    const timer = setTimeout(() => fail(`no answer within ${GREETING_MS / 1_000} s`), GREETING_MS).unref();
    const onAbort = (): void => fail('this replica has no more to do with it');
    signal.addEventListener('abort', onAbort, { once: true });
    call.on('data', (bytes: Buffer) => {
      if (fault !== undefined) return;
      const message = decodeTellerMessage(bytes);
      if (!message.ok) return fail(message.error);
      if (message.value.kind === 'hello') {
        const { replica, protocol } = message.value;
        const misfit =
          protocolFault(protocol) ??
          (replica === options.replica ? undefined : `replica ${replica} answers at its address`);
        if (misfit !== undefined) return fail(misfit);
        greeted = true;
        clearTimeout(timer);
        onGood();
        options.onBegin(message.value);
      } else if (message.value.kind === 'update' && greeted) {
        options.onUpdate(message.value);
      }
    });
    call.on('error', () => undefined);
    call.once('status', ({ code, details }: StatusObject) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(fault ?? (details === '' ? `the stream ended with status ${code}` : details));
    });
    call.write(Buffer.from(encodeFollowerHello(options.hello)), (error: Error | null | undefined) => {
      if (error !== null && error !== undefined) fail(AppError.from(error).message);
    });
  });
}

function secured({ own, roots, identity }: PeerCredentials): ReturnType<typeof grpcCredentials.createSsl> {
  return grpcCredentials.createSsl(
    Buffer.from(roots),
    Buffer.from(own.privateKeyPem),
    Buffer.from(own.certificatePem),
    { checkServerIdentity: (name, certificate) => serverFault(name, certificate, identity) },
  );
}
