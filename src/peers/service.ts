// PeersService over grpc-js; messages pass as Buffers, for src/wire to read.
import type { ServiceDefinition } from '@grpc/grpc-js';

const asIs = (bytes: Buffer): Buffer => bytes;

/** Revision of the protocol that this operator speaks. */
export const PROTOCOL = 1;

export const PEERS_SERVICE = {
  follow: {
    path: '/weft.peers.v1.PeersService/Follow',
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
} as const satisfies ServiceDefinition;

/** Changes between two revisions are additive: either side leaves out what the other does not know. */
export function protocolFault(protocol: number): string | undefined {
  if (protocol >= Math.max(1, PROTOCOL - 1) && protocol <= PROTOCOL + 1) return undefined;
  return `protocol revision ${protocol} is not understood; this replica speaks ${PROTOCOL}: roll all replicas to one version`;
}
