// The cert-manager Certificate from which the issuer of a mesh comes.
import { WEFT_GROUP } from '../../kernel/index.ts';
import type { RawObject } from '../../kube/index.ts';
import { ISSUER_LABEL, ISSUER_ROLE_LABEL } from './facts.ts';
import type { MeshInput } from './gather.ts';
import { ISSUER_PREFIX } from './map.ts';

/** Of the intermediate, not of the root; renewed after two thirds. */
const ISSUER_DURATION = '2160h';
const ISSUER_RENEW_BEFORE = '720h';

export function desiredCertificate({ mesh, spec, controlNamespace, object }: MeshInput): RawObject {
  const name = `${ISSUER_PREFIX}${mesh}`;
  const { name: issuerName, kind, group } = spec.identity.issuerRef;
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: {
      name,
      namespace: controlNamespace,
      labels: { 'app.kubernetes.io/managed-by': 'weft-operator', [ISSUER_LABEL]: mesh },
      ownerReferences: [
        { apiVersion: `${WEFT_GROUP}/v1alpha1`, kind: 'MeshConfig', name: object.meta.name, uid: object.meta.uid },
      ],
    },
    spec: {
      isCA: true,
      commonName: `weft issuer ${mesh}`.slice(0, 64),
      secretName: name,
      duration: ISSUER_DURATION,
      renewBefore: ISSUER_RENEW_BEFORE,
      privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8', rotationPolicy: 'Always' },
      usages: ['cert sign', 'crl sign', 'digital signature'],
      issuerRef: { name: issuerName, kind, group },
      secretTemplate: { labels: { [ISSUER_LABEL]: mesh, [ISSUER_ROLE_LABEL]: 'source' } },
    },
  };
}
