/**
 * L2: who workloads are. Makes and judges certificates, keeps the issuers of all meshes, signs leaves for proved callers and for the operator
 * itself. Imports kernel and runtime; knows no Kubernetes client: Secrets are handed in as text.
 */
import type { ServiceAccountName } from '../kernel/index.ts';
import type { Clock, Logger } from '../runtime/index.ts';
import { type Certify, createCertify } from './certify.ts';
import { type LoadedIssuers, createIssuerStore } from './issuer-store.ts';
import { type OwnLeaves, createOwnLeaves } from './own-leaf.ts';

export type { Certify, CertifyRequest, IssuedLeaf } from './certify.ts';
export { type IssuerSecret, judgeIssuer } from './issuer-secret.ts';
export type { LoadedIssuer, LoadedIssuers, MeshIdentity, TrustedRoots } from './issuer-store.ts';
export { type OwnLeaves, type ServingCertificate, operatorServerName } from './own-leaf.ts';
export { certificatePem, readCertificates } from './pem.ts';
export {
  BACKDATE_MS,
  type CaOptions,
  type KeyedCertificate,
  type ServerCertificateOptions,
  issueIntermediate,
  issueServerCertificate,
  makeCa,
} from './x509.ts';

export interface IdentityOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly controlNamespace: string;
  /** The operator's own service account. */
  readonly account: ServiceAccountName;
  readonly random?: () => number;
}

export interface Identity {
  readonly issuers: LoadedIssuers;
  readonly certify: Certify;
  readonly own: OwnLeaves;
  close(): void;
}

export function createIdentity(options: IdentityOptions): Identity {
  const { clock, log, controlNamespace, account } = options;
  const issuers = createIssuerStore({ clock, log });
  const own = createOwnLeaves({
    issuers,
    clock,
    log,
    controlNamespace,
    account,
    random: options.random ?? Math.random,
  });
  return { issuers, certify: createCertify({ issuers, clock, controlNamespace }), own, close: () => own.close() };
}
