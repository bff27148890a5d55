// Private keys that sign: which kinds are allowed, and how one is read from PEM.
import { type KeyObject, createPrivateKey, webcrypto } from 'node:crypto';
import { AppError, type Result, err, ok } from '../kernel/index.ts';

export type CryptoKey = webcrypto.CryptoKey;
export type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** Every key that Weft makes: one curve, so that one verifier path is enough. */
export const LEAF_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** A CA key ready for use; `hash` goes with its strength. */
export interface SigningKey {
  readonly key: CryptoKey;
  readonly hash: 'SHA-256' | 'SHA-384';
  readonly object: KeyObject;
}

export async function makeKeyPair(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(LEAF_ALGORITHM, true, ['sign', 'verify']);
}

/** PKCS#8 PEM. */
export async function privateKeyPem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

/**
 * Reads PKCS#8, SEC1 or PKCS#1 PEM. Allowed are ECDSA P-256 and P-384 and RSA of 2048 bits or more: what TLS 1.3 stacks verify everywhere.
 * The error's cause is never the parser's, which may quote key material.
 */
export function readSigningKey(pem: string): Result<SigningKey, AppError> {
  let object: KeyObject;
  try {
    object = createPrivateKey(pem);
  } catch {
    return err(new AppError('invalid-argument', 'the private key is no readable PEM key'));
  }
  const details = object.asymmetricKeyDetails;
  if (object.asymmetricKeyType === 'ec') {
    const curve = { prime256v1: 'P-256', secp384r1: 'P-384' }[details?.namedCurve ?? ''];
    if (curve === undefined)
      return err(
        new AppError('invalid-argument', `curve ${details?.namedCurve ?? '?'} is not allowed; use P-256 or P-384`),
      );
    const hash = curve === 'P-384' ? 'SHA-384' : 'SHA-256';
    return ok({ key: object.toCryptoKey({ name: 'ECDSA', namedCurve: curve }, false, ['sign']), hash, object });
  }
  if (object.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048) {
    return ok({
      key: object.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']),
      hash: 'SHA-256',
      object,
    });
  }
  return err(
    new AppError('invalid-argument', 'the private key must be ECDSA P-256 or P-384, or RSA with at least 2048 bits'),
  );
}
