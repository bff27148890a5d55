import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeKeyPair, privateKeyPem } from '../src/identity/keys.ts';
import { issueLeaf, makeCa, signingCa } from '../src/identity/x509.ts';
import { identities } from './weft.ts';

export type Half = 'client' | 'server';

/** Paths of PEM files; `combined` holds certificate and key as HAProxy wants them. */
export interface CertificateFiles
  extends Readonly<Record<Half, { readonly cert: string; readonly key: string; readonly combined: string }>> {
  readonly ca: string;
}

export type Pem = Readonly<Record<Half | 'ca', { readonly cert: string; readonly key: string }>>;

/** A CA and a leaf for each half, P-256, written into `folder`. */
export async function makeCertificates(folder: string): Promise<{ files: CertificateFiles; pem: Pem }> {
  const nowMs = Date.now();
  const validForMs = 24 * 3_600_000;
  const ca = await makeCa({ commonName: 'bench', nowMs, validForMs });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const leaf = async (half: Half): Promise<{ cert: string; key: string }> => {
    const keys = await makeKeyPair();
    const certificate = await issueLeaf(signingCa(ca), {
      publicKey: keys.publicKey,
      spiffeId: identities[half],
      dnsNames: ['app.local'],
      nowMs,
      validForMs,
      notAfterMs: nowMs + validForMs,
    });
    return { cert: `${certificate.toString('pem')}\n`, key: await privateKeyPem(keys.privateKey) };
  };
  const pem = {
    client: await leaf('client'),
    server: await leaf('server'),
    ca: { cert: ca.certificatePem, key: ca.privateKeyPem },
  };
  const half = (name: Half) => ({
    cert: write(`${name}.crt`, pem[name].cert),
    key: write(`${name}.key`, pem[name].key),
    combined: write(`${name}.pem`, `${pem[name].cert}${pem[name].key}`),
  });
  return { files: { ca: write('ca.crt', ca.certificatePem), client: half('client'), server: half('server') }, pem };
}
