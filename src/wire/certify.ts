import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CertifyRequestSchema, CertifyResponseSchema } from '../gen/weft/identity/v1/identity_pb.ts';
import { err, ok, type Result } from '../kernel/index.ts';

export interface CertifyRequest {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  readonly token: string;
}

export interface CertifyResponse {
  /** DER: leaf first, without the root. */
  readonly chainDer: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly identity: string;
  /** Issuer Secret that signed. */
  readonly generation: string;
}

export function decodeCertifyRequest(bytes: Uint8Array): Result<CertifyRequest, string> {
  try {
    const { csr, serviceAccountToken } = fromBinary(CertifyRequestSchema, bytes);
    return ok({ csr, token: serviceAccountToken });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Times are whole seconds on the wire; the validity is never told longer than it is. */
export function encodeCertifyResponse({
  chainDer,
  generation,
  notBeforeMs,
  notAfterMs,
  identity,
}: CertifyResponse): Uint8Array {
  const message = create(CertifyResponseSchema, {
    chain: chainDer.map(der => Uint8Array.from(der)),
    notBefore: BigInt(Math.ceil(notBeforeMs / 1000)),
    notAfter: BigInt(Math.floor(notAfterMs / 1000)),
    identity,
    generation,
  });
  return toBinary(CertifyResponseSchema, message);
}
