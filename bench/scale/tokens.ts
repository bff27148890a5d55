// Pod-bound service account tokens, signed with the API server's own key: what TokenRequest would answer, without a request for each of thousands.
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';

export interface BoundPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
}

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export function signingKey(pem: string): KeyObject {
  return createPrivateKey(pem);
}

export function boundToken(key: KeyObject, pod: BoundPod, nowSeconds: number): string {
  const claims = {
    aud: ['weft.dev'],
    iss: ISSUER,
    sub: `system:serviceaccount:${pod.namespace}:${pod.serviceAccount}`,
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: nowSeconds + 86_400,
    'kubernetes.io': {
      namespace: pod.namespace,
      pod: { name: pod.name, uid: pod.uid },
      serviceaccount: { name: pod.serviceAccount, uid: pod.serviceAccountUid },
    },
  };
  const [alg, options] =
    key.asymmetricKeyType === 'ec' ? ['ES256', { key, dsaEncoding: 'ieee-p1363' as const }] : ['RS256', { key }];
  const text = `${encoded({ alg, typ: 'JWT' })}.${encoded(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), options).toString('base64url')}`;
}
