// ConfigService.Stream over grpc-js: proves the caller, reads the hello, and then passes messages between the call and the hub.
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { AppError } from '../kernel/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import type { ClientMessage } from '../wire/index.ts';
import { type Caller, type CallerOptions, bearerToken, proveCaller } from './caller.ts';
import type { Codec } from './frames.ts';
import { grpcStatus } from './grpc-status.ts';
import { type Hello, type Hub, namesFault } from './hub.ts';
import type { HubMetrics, StreamRefusal } from './metrics.ts';
import { createOpenCalls } from './open-calls.ts';
import type { ProxyRecord, Transport } from './proxy-record.ts';

/** The revision of the protocol that this operator speaks. */
const PROTOCOL = 1;
const HELLO_MS = 10_000;

export type StreamCall = ServerDuplexStream<Buffer, Buffer>;

export interface ConfigServiceOptions extends CallerOptions {
  readonly hub: Hub;
  readonly codec: Codec;
  readonly metrics: HubMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly maxStreams: number;
  readonly ending: Ending;
}

export interface Ending {
  /** Cuts the connection that a call came over. */
  readonly cut: (peer: string) => void;
  /** How long a client may take to read why its stream ends before its connection is cut. */
  readonly graceMs: number;
}

export type StreamHandler = (mesh: string, call: StreamCall) => void;

export function createStreamHandler(options: ConfigServiceOptions): StreamHandler {
  const calls = createOpenCalls(options.maxStreams);

  return (mesh, call) => {
    const signal = calls.enter(call);
    if (signal === undefined) {
      return refuse(
        call,
        'limit',
        new AppError('resource-exhausted', 'this replica serves as many proxies as it may; try again'),
      );
    }
    void accept(mesh, call, signal);
  };

  function refuse(call: StreamCall, reason: StreamRefusal, error: AppError): void {
    options.metrics.refused(reason);
    options.log.info('stream refused', { peer: call.getPeer(), reason, err: error.message });
    endCall(call, error, options.ending);
  }

  async function accept(mesh: string, call: StreamCall, signal: AbortSignal): Promise<void> {
    const token = bearerToken(call.metadata.get('authorization')[0]?.toString());
    const caller = await proveCaller({ token, mesh, signal }, options);
    if (signal.aborted) return;
    if (!caller.ok) return refuse(call, caller.error.code === 'unauthenticated' ? 'token' : 'pod', caller.error);
    // Some clients wait for headers before they send anything.
    call.sendMetadata(new Metadata());
    converse(call, caller.value, signal);
  }

  function converse(call: StreamCall, caller: Caller, signal: AbortSignal): void {
    let proxy: ProxyRecord | undefined;
    let refused = false;
    const fail = (reason: StreamRefusal, error: AppError): void => {
      if (refused) return;
      refused = true;
      clearTimeout(helloTimer);
      if (proxy !== undefined) options.hub.closed(proxy);
      refuse(call, reason, error);
    };
    const helloTimer = setTimeout(
      () => fail('protocol', new AppError('deadline-exceeded', 'no hello within 10 s')),
      HELLO_MS,
    ).unref();

    const greet = (hello: Hello): void => {
      clearTimeout(helloTimer);
      const fault = helloFault(hello);
      if (fault !== undefined) return fail('protocol', fault);
      proxy = options.hub.open({ who: caller.who, hello, transport: transportOf(call, options.ending) });
    };

    call.on('data', (bytes: Buffer) => {
      if (refused) return;
      const message = options.codec.decode(bytes);
      if (!message.ok) {
        // A newer proxy may say things that this operator does not know; everything that it must know comes as a hello first.
        if (proxy === undefined) return fail('protocol', new AppError('invalid-argument', message.error));
        return options.log.warn('message not understood', { peer: proxy.who.podKey, reason: message.error });
      }
      const misplaced = placeFault(message.value, proxy !== undefined);
      if (misplaced !== undefined) return fail('protocol', misplaced);
      if (message.value.kind === 'hello') greet(message.value);
      else if (proxy !== undefined) options.hub.receive(proxy, message.value);
    });
    // A client that half-closes has nothing more to acknowledge with.
    call.once('end', () => call.end());
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(helloTimer);
        if (proxy !== undefined) options.hub.closed(proxy);
      },
      { once: true },
    );
  }
}

function helloFault(hello: Hello): AppError | undefined {
  // Changes between two revisions are additive: either side leaves out what the other does not know.
  if (hello.protocol < Math.max(1, PROTOCOL - 1) || hello.protocol > PROTOCOL + 1) {
    return new AppError(
      'failed-precondition',
      `protocol revision ${hello.protocol} is not served; this operator speaks ${PROTOCOL}`,
    );
  }
  return namesFault(
    hello.held.map(({ name }) => name),
    0,
  );
}

function placeFault(message: ClientMessage, greeted: boolean): AppError | undefined {
  if (message.kind === 'hello' && greeted)
    return new AppError('invalid-argument', 'a second hello; it must be the first message only');
  if (message.kind !== 'hello' && !greeted)
    return new AppError('invalid-argument', `${message.kind} before hello; hello must be the first message`);
  return undefined;
}

function transportOf(call: StreamCall, ending: Ending): Transport {
  return {
    write: (bytes, done) => {
      call.write(bytes, (error: Error | null | undefined) => {
        if (error === null || error === undefined) done();
      });
    },
    end: error => endCall(call, error, ending),
  };
}

function endCall(call: StreamCall, error: AppError, { cut, graceMs }: Ending): void {
  const peer = call.getPeer();
  const timer = setTimeout(() => cut(peer), graceMs).unref();
  for (const event of ['cancelled', 'close'] as const) call.once(event, () => clearTimeout(timer));
  call.emit('error', grpcStatus(error));
}
