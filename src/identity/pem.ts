// PEM bundles of certificates (RFC 7468).
import { X509Certificate } from 'node:crypto';
import { type Result, err, ok } from '../kernel/index.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** All certificates of a bundle in order, each once; an empty text is an empty bundle. One that cannot be read spoils the bundle. */
export function readCertificates(pem: string): Result<readonly X509Certificate[], string> {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0 && pem.trim() !== '') return err('it holds text but no PEM certificate');
  const certificates = new Map<string, X509Certificate>();
  for (const [index, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block);
      certificates.set(certificate.fingerprint256, certificate);
    } catch {
      return err(`certificate ${index + 1} cannot be read`);
    }
  }
  return ok([...certificates.values()]);
}

export function certificatePem(der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
}
