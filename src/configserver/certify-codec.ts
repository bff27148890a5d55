// The two messages of IdentityService.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CertifyRequestSchema, CertifyResponseSchema } from '../gen/weft/identity/v1/identity_pb.ts';
import type { IssuedLeaf } from '../identity/index.ts';
import { type Result, err, ok } from '../kernel/index.ts';
import type { CertifyCodec } from './identity-service.ts';

export const decodeCertifyRequest: CertifyCodec['decodeCertifyRequest'] = (
  bytes,
): Result<{ readonly csr: Uint8Array; readonly token: string }, string> => {
  try {
    const { csr, serviceAccountToken } = fromBinary(CertifyRequestSchema, bytes);
    return ok({ csr, token: serviceAccountToken });
  } catch {
    return err('the message is no CertifyRequest');
  }
};

export function encodeCertifyResponse(leaf: IssuedLeaf): Uint8Array {
  const message = create(CertifyResponseSchema, {
    chain: leaf.chainDer.map(der => Uint8Array.from(der)),
    notBefore: BigInt(Math.floor(leaf.notBeforeMs / 1_000)),
    notAfter: BigInt(Math.floor(leaf.notAfterMs / 1_000)),
    identity: leaf.identity,
  });
  return toBinary(CertifyResponseSchema, message);
}
