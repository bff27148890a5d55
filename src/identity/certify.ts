// Signs workload leaves. The caller was proved before (by its token); the request proves the key and nothing else.
import {
  AppError,
  type Result,
  type ServiceAccountName,
  type SpiffeId,
  dnsIdentity,
  err,
  ok,
  spiffeId,
} from '../kernel/index.ts';
import type { Clock } from '../runtime/index.ts';
import { readCsr } from './csr.ts';
import type { LoadedIssuer } from './issuer-store.ts';
import type { CryptoKey } from './keys.ts';
import { issueLeaf } from './x509.ts';

/** Longest DNS name (RFC 1035): a longer one could never match, and strict verifiers refuse the certificate for it. */
const MAX_DNS_NAME = 253;

export interface IssuedLeaf {
  /** DER: leaf, then intermediates, without the root. */
  readonly chainDer: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly identity: SpiffeId;
  /** Name of the issuer Secret that signed. */
  readonly generation: string;
}

export interface CertifyRequest {
  readonly mesh: string;
  /** As proved by the token, never as asked for. */
  readonly account: ServiceAccountName;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
}

/** Errors: `invalid-argument` (CSR), `unavailable` (no issuer that is valid now). */
export type Certify = (request: CertifyRequest) => Promise<Result<IssuedLeaf, AppError>>;

export interface CertifierOptions {
  readonly issuers: { active(mesh: string): LoadedIssuer | undefined };
  readonly clock: Clock;
  /** Part of the DNS form of identities. */
  readonly controlNamespace: string;
}

export interface LeafRequest {
  readonly account: ServiceAccountName;
  readonly publicKey: CryptoKey;
  /** Beside the DNS form of the identity. */
  readonly dnsNames: readonly string[];
}

export function createCertify(options: CertifierOptions): Certify {
  return async ({ mesh, account, csr }) => {
    const issuer = usableIssuer(options, mesh);
    if (!issuer.ok) return issuer;
    const publicKey = await readCsr(csr);
    if (!publicKey.ok) return publicKey;
    return ok(await signLeaf(options, issuer.value, { account, publicKey: publicKey.value, dnsNames: [] }));
  };
}

export function usableIssuer(options: CertifierOptions, mesh: string): Result<LoadedIssuer, AppError> {
  const issuer = options.issuers.active(mesh);
  if (issuer === undefined)
    return err(new AppError('unavailable', `mesh ${mesh} has no issuer yet; see the conditions of its MeshConfig`));
  if (options.clock.nowMs() >= issuer.notAfterMs) {
    return err(
      new AppError('unavailable', `the issuer of mesh ${mesh} (Secret ${issuer.generation}) has expired; renew it`),
    );
  }
  return ok(issuer);
}

export async function signLeaf(
  options: CertifierOptions,
  issuer: LoadedIssuer,
  request: LeafRequest,
): Promise<IssuedLeaf> {
  const identity = spiffeId(issuer.trustDomain, request.account);
  const dnsForm = dnsIdentity(issuer.trustDomain, options.controlNamespace, request.account);
  const leaf = await issueLeaf(issuer.ca, {
    publicKey: request.publicKey,
    spiffeId: identity,
    dnsNames: [...(dnsForm.length <= MAX_DNS_NAME ? [dnsForm] : []), ...request.dnsNames],
    nowMs: options.clock.nowMs(),
    validForMs: issuer.leafDurationMs,
    notAfterMs: issuer.notAfterMs,
  });
  return {
    chainDer: [new Uint8Array(leaf.rawData), ...issuer.chainDer],
    notBeforeMs: leaf.notBefore.getTime(),
    notAfterMs: leaf.notAfter.getTime(),
    identity,
    generation: issuer.generation,
  };
}
