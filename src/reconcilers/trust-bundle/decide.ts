// Whether a namespace has the bundle, and with what. Pure.
import { certificatePem } from '../../identity/index.ts';
import { INJECT, LINKERD_INJECT } from '../../kernel/index.ts';
import type { RawObject } from '../../kube/index.ts';
import { BUNDLE_FIELD, BUNDLE_LABEL, BUNDLE_NAME } from './facts.ts';
import type { BundleInput } from './gather.ts';

export type BundleDecision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'apply'; readonly desired: RawObject }
  | { readonly kind: 'remove'; readonly uid: string };

function isMeshed({ facts, hasProxies }: BundleInput): boolean {
  if (facts === undefined) return false;
  const { labels, annotations } = facts.meta;
  const asked = [INJECT, LINKERD_INJECT].map(name => annotations[name] ?? labels[name]);
  return hasProxies || asked.includes('enabled');
}

export function decide(input: BundleInput): BundleDecision {
  const { namespace, facts, trust, current } = input;
  // What is in a namespace that is gone goes with it.
  if (facts === undefined) return { kind: 'nothing' };
  if (!isMeshed(input)) {
    const ours = current?.metadata.labels?.[BUNDLE_LABEL] !== undefined;
    return ours ? { kind: 'remove', uid: current.metadata.uid ?? '' } : { kind: 'nothing' };
  }
  // A mesh without an issuer at the moment: what is there stays.
  if (trust === undefined || trust.anchorsDer.length === 0) return { kind: 'nothing' };
  const labels = { 'app.kubernetes.io/managed-by': 'weft-operator', [BUNDLE_LABEL]: 'true' };
  const bundle = trust.anchorsDer.map(certificatePem).join('');
  const desired = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: BUNDLE_NAME, namespace, labels },
    data: { [BUNDLE_FIELD]: bundle },
  };
  return { kind: 'apply', desired };
}
