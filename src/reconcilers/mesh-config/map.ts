// Which mesh an object matters to. A pure function per kind; called for the old and the new object of every change.
import type { CertificateFacts, IssuerSecretFacts, MeshConfigFacts } from './facts.ts';
import { nameOf } from '../../kernel/index.ts';

export const ISSUER_PREFIX = 'weft-issuer-';
export const ANCHOR_PREFIX = 'weft-anchor-';
export const ROOT_PREFIX = 'weft-root-';

export const meshOfMeshConfig = (object: MeshConfigFacts): readonly string[] => [object.meta.name];

export const meshOfSecret = (secret: IssuerSecretFacts): readonly string[] => (secret.mesh === '' ? [] : [secret.mesh]);

/** Of a Certificate, or of an Issuer of cert-manager. */
export function meshOfCertificate({ key }: Pick<CertificateFacts, 'key'>): readonly string[] {
  const { name } = nameOf(key);
  const prefix = [ISSUER_PREFIX, ANCHOR_PREFIX].find(candidate => name.startsWith(candidate));
  return prefix === undefined ? [] : [name.slice(prefix.length)];
}
