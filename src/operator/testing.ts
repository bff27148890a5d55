// What cert-manager would write into the Secret of an issuer, good and bad. For tests.
import { issueIntermediate, issueServerCertificate, type KeyedCertificate, makeCa } from '../identity/index.ts';

const DAY_MS = 86_400_000;

/** Base64, as in a Secret's `data`. */
export interface IssuerData {
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
  readonly 'ca.crt': string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function pair(certificate: KeyedCertificate, root: KeyedCertificate): IssuerData {
  return {
    'tls.crt': base64(certificate.certificatePem),
    'tls.key': base64(certificate.privateKeyPem),
    'ca.crt': base64(root.certificatePem),
  };
}

export async function goodIssuer(commonName: string): Promise<{ readonly data: IssuerData; readonly root: string }> {
  const nowMs = Date.now();
  const root = await makeCa({ commonName, nowMs, validForMs: 1_000 * DAY_MS });
  const issuer = await issueIntermediate(root, { commonName: `${commonName} issuer`, nowMs, validForMs: 100 * DAY_MS });
  return { data: pair(issuer, root), root: root.certificatePem };
}

export interface BadIssuer {
  readonly name: string;
  readonly data: IssuerData;
  /** Part of what is said of it. */
  readonly says: string;
}

/** Each is `good` with something spoiled. */
export async function badIssuers(good: IssuerData): Promise<readonly BadIssuer[]> {
  const nowMs = Date.now();
  const other = await goodIssuer('other');
  const root = await makeCa({ commonName: 'another root', nowMs: nowMs - 9 * DAY_MS, validForMs: 90 * DAY_MS });
  const past = { nowMs: nowMs - 8 * DAY_MS, validForMs: DAY_MS };
  const expired = await issueIntermediate(root, { commonName: 'expired issuer', ...past });
  const leaf = await issueServerCertificate(root, { dnsNames: ['leaf'], nowMs, validForMs: DAY_MS });
  const garbage = base64('-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n');
  return [
    { name: 'text that is no certificate', data: { ...good, 'tls.crt': base64('nonsense') }, says: 'tls.crt' },
    {
      name: 'the key of another',
      data: { ...good, 'tls.key': other.data['tls.key'] },
      says: 'tls.key does not belong',
    },
    { name: 'an issuer that has expired', data: pair(expired, root), says: 'expired' },
    { name: 'a certificate without CA:TRUE', data: pair(leaf, root), says: 'CA:TRUE is missing' },
    {
      name: 'garbage in the bundle',
      data: { ...good, 'ca.crt': garbage },
      says: 'ca.crt: certificate 1 cannot be read',
    },
    { name: 'a root that did not sign it', data: { ...good, 'ca.crt': other.data['ca.crt'] }, says: 'does not chain' },
  ];
}
