declare const brand: unique symbol;

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
export type SpiffeId = string & { readonly [brand]: 'SpiffeId' };

export interface ServiceAccountName {
  readonly namespace: string;
  readonly serviceAccount: string;
}

export function spiffeId(trustDomain: string, account: ServiceAccountName): SpiffeId {
  return `spiffe://${trustDomain}/ns/${account.namespace}/sa/${account.serviceAccount}` as SpiffeId;
}

/** The DNS form of the same identity, in Linkerd's pattern: `<sa>.<ns>.serviceaccount.identity.<control namespace>.<trust domain>`. */
export function dnsIdentity(trustDomain: string, controlNamespace: string, account: ServiceAccountName): string {
  return `${account.serviceAccount}.${account.namespace}.serviceaccount.identity.${controlNamespace}.${trustDomain}`;
}
