// Certificate signing requests (PKCS#10, RFC 2986): what is taken from one is its public key and nothing else.
import { webcrypto } from 'node:crypto';
import * as x509 from './x509-library.ts';
import { AppError, type Result, err, ok } from '../kernel/index.ts';
import { type CryptoKey, LEAF_ALGORITHM } from './keys.ts';

/** A P-256 request without attributes has some 200 bytes; this leaves room for any honest client and bounds the parser's work. */
const MAX_CSR_BYTES = 4_096;

/**
 * Reads a DER request and proves that its sender holds the private key. Names and extensions are not looked at: who the caller is comes from
 * the token. Errors are `invalid-argument` and say what the sender must change.
 */
export async function readCsr(der: Uint8Array): Promise<Result<CryptoKey, AppError>> {
  if (der.byteLength === 0 || der.byteLength > MAX_CSR_BYTES)
    return refuse(`the CSR must have 1 to ${MAX_CSR_BYTES} bytes, it has ${der.byteLength}`);
  try {
    const csr = new x509.Pkcs10CertificateRequest(Uint8Array.from(der));
    const algorithm = csr.publicKey.algorithm as { readonly name?: string; readonly namedCurve?: string };
    if (algorithm.name !== LEAF_ALGORITHM.name || algorithm.namedCurve !== LEAF_ALGORITHM.namedCurve) {
      return refuse(
        `the key must be ECDSA P-256, it is ${[algorithm.name, algorithm.namedCurve].filter(Boolean).join(' ')}`,
      );
    }
    // Importing also checks that the point is on the curve.
    const key = await webcrypto.subtle.importKey('spki', csr.publicKey.rawData, LEAF_ALGORITHM, true, ['verify']);
    if (!(await csr.verify())) return refuse("the CSR's signature does not verify with its own key");
    return ok(key);
  } catch (reason) {
    return refuse('the CSR is no readable PKCS#10 request in DER', reason);
  }
}

function refuse(message: string, cause?: unknown): Result<CryptoKey, AppError> {
  return err(new AppError('invalid-argument', message, { cause }));
}
