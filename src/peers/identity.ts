// How replicas know each other: by the operator's own identity, in one mesh that all of them agree on.
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { certificatePem, type LoadedIssuers, type OwnLeaves, type ServingCertificate } from '../identity/index.ts';
import { compareText, DEFAULT_MESH, type ServiceAccountName, spiffeId } from '../kernel/index.ts';

export interface PeerCredentials {
  readonly mesh: string;
  readonly own: ServingCertificate;
  /** PEM; roots of that mesh. */
  readonly roots: string;
  /** What the other side's certificate must say. */
  readonly identity: string;
}

export interface PeerIdentityOptions {
  readonly own: Pick<OwnLeaves, 'get' | 'meshes'>;
  readonly issuers: Pick<LoadedIssuers, 'trust'>;
  /** The operator's own service account. */
  readonly account: ServiceAccountName;
}

/**
 * The mesh called default, or the first by name: one alone, so that whoever may sign for another mesh cannot pass for a replica. Undefined until
 * the operator has a certificate in it.
 */
export function peerCredentials({ own, issuers, account }: PeerIdentityOptions): PeerCredentials | undefined {
  const trust = issuers.trust();
  const names = [...trust.keys()].toSorted(compareText);
  const mesh = trust.has(DEFAULT_MESH) ? DEFAULT_MESH : (names[0] ?? '');
  const [leaf, trusted] = [own.get(mesh), trust.get(mesh)];
  if (leaf === undefined || trusted === undefined) return undefined;
  return {
    mesh,
    own: leaf,
    roots: trusted.anchorsDer.map(certificatePem).join(''),
    identity: spiffeId(trusted.trustDomain, account),
  };
}

/** Undefined: the certificate, whose chain has been verified, is a replica's. */
export function identityFault(
  certificate: Pick<PeerCertificate, 'subjectaltname'>,
  identity: string,
): Error | undefined {
  // Names with special characters are quoted by Node; no certificate of ours has any, and quotes would make the split ambiguous.
  const names = certificate.subjectaltname ?? '';
  const uris = names.includes('"') ? [] : names.split(', ').filter(name => name.startsWith('URI:'));
  if (uris.length === 1 && uris[0] === `URI:${identity}`) return undefined;
  return new Error(`the certificate is of ${uris.join(' and ') || 'nobody'}, not of ${identity}`);
}

/** For a client: the server's name as well, as proxies check it. */
export function serverFault(name: string, certificate: PeerCertificate, identity: string): Error | undefined {
  return checkServerIdentity(name, certificate) ?? identityFault(certificate, identity);
}
