// Which mesh an object matters to. A pure function per kind; called for the old and the new object of every change.
import type { CertificateFacts, IssuerSecretFacts, MeshConfigFacts } from './facts.ts';
import { nameOf } from '../../kernel/index.ts';

export const ISSUER_PREFIX = 'weft-issuer-';

export const meshOfMeshConfig = (object: MeshConfigFacts): readonly string[] => [object.meta.name];

export const meshOfSecret = (secret: IssuerSecretFacts): readonly string[] => (secret.mesh === '' ? [] : [secret.mesh]);

export function meshOfCertificate(certificate: CertificateFacts): readonly string[] {
  const { name } = nameOf(certificate.key);
  return name.startsWith(ISSUER_PREFIX) ? [name.slice(ISSUER_PREFIX.length)] : [];
}
