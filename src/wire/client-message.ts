import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ClientMessageSchema } from '../gen/weft/config/v1/config_pb.ts';
import { err, ok, type Result } from '../kernel/index.ts';

export type ClientMessage =
  | {
      readonly kind: 'hello';
      readonly proxyVersion: string;
      /** Revision of the protocol. */
      readonly protocol: number;
      readonly held: readonly { readonly name: string; readonly version: string }[];
    }
  | { readonly kind: 'subscribe'; readonly names: readonly string[] }
  | { readonly kind: 'unsubscribe'; readonly names: readonly string[] }
  | { readonly kind: 'ack'; readonly nonce: bigint }
  | { readonly kind: 'nack'; readonly nonce: bigint; readonly resource: string; readonly reason: string }
  | { readonly kind: 'leaf'; readonly generation: string; readonly notAfterMs: number; readonly clockMs: number };

/** Reads what a proxy sent; the error says what cannot be understood. */
export function decodeClientMessage(bytes: Uint8Array): Result<ClientMessage, string> {
  try {
    const { kind } = fromBinary(ClientMessageSchema, bytes);
    switch (kind.case) {
      case 'hello': {
        const { proxyVersion, protocol, held } = kind.value;
        return ok({
          kind: 'hello',
          proxyVersion,
          protocol,
          held: held.map(({ name, version }) => ({ name, version })),
        });
      }
      case 'subscribe':
      case 'unsubscribe':
        return ok({ kind: kind.case, names: kind.value.names });
      case 'ack':
        return ok({ kind: 'ack', nonce: kind.value.nonce });
      case 'nack':
        return ok({
          kind: 'nack',
          nonce: kind.value.nonce,
          resource: kind.value.resource,
          reason: kind.value.reason,
        });
      case 'leaf': {
        const { generation, notAfter, clockMs } = kind.value;
        return ok({ kind: 'leaf', generation, notAfterMs: Number(notAfter) * 1_000, clockMs: Number(clockMs) });
      }
      case undefined:
      default:
        return err('a ClientMessage says nothing that is known');
    }
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** The other direction, for tests and for tools that play a proxy. */
export function encodeClientMessage(message: ClientMessage): Uint8Array {
  return toBinary(ClientMessageSchema, create(ClientMessageSchema, { kind: kindOf(message) }));
}

function kindOf(message: ClientMessage): NonNullable<MessageInitShape<typeof ClientMessageSchema>['kind']> {
  switch (message.kind) {
    case 'hello': {
      const { proxyVersion, protocol, held } = message;
      return {
        case: 'hello',
        value: { proxyVersion, protocol, held: held.map(({ name, version }) => ({ name, version })) },
      };
    }
    case 'subscribe':
      return { case: 'subscribe', value: { names: [...message.names] } };
    case 'unsubscribe':
      return { case: 'unsubscribe', value: { names: [...message.names] } };
    case 'ack':
      return { case: 'ack', value: { nonce: message.nonce } };
    case 'leaf': {
      const { generation, notAfterMs, clockMs } = message;
      const notAfter = BigInt(Math.floor(notAfterMs / 1_000));
      return { case: 'leaf', value: { generation, notAfter, clockMs: BigInt(clockMs) } };
    }
    case 'nack':
    default:
      return {
        case: 'nack',
        value: { nonce: message.nonce, resource: message.resource, reason: message.reason },
      };
  }
}
