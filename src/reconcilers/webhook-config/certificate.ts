// The cert-manager Certificate from which the serving certificate comes, for those who want all certificates from there.
import type { RawObject } from '../../kube/index.ts';
import { WEBHOOK_CERTIFICATE, WEBHOOK_SECRET } from './facts.ts';

export interface WebhookIssuer {
  readonly kind: string;
  readonly name: string;
}

export interface CertificateInput {
  readonly namespace: string;
  readonly issuer: WebhookIssuer;
  readonly dnsNames: readonly string[];
}

export function desiredCertificate({ namespace, issuer, dnsNames }: CertificateInput): RawObject {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: {
      name: WEBHOOK_CERTIFICATE,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'weft-operator' },
    },
    spec: {
      dnsNames: [...dnsNames],
      secretName: WEBHOOK_SECRET,
      duration: '2160h',
      renewBefore: '720h',
      privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8', rotationPolicy: 'Always' },
      usages: ['server auth', 'digital signature'],
      issuerRef: { group: 'cert-manager.io', kind: issuer.kind, name: issuer.name },
    },
  };
}
