// Whether a namespace has the bundle, and with what. Pure.
import { certificatePem } from '../../identity/index.ts';
import { INJECT, LINKERD_INJECT, trustFileOf } from '../../kernel/index.ts';
import type { RawObject } from '../../kube/index.ts';
import { BUNDLE_FIELD, BUNDLE_LABEL, BUNDLE_NAME } from './facts.ts';
import type { BundleInput } from './gather.ts';

export type BundleDecision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'apply'; readonly desired: RawObject }
  | { readonly kind: 'remove'; readonly uid: string };

function isMeshed({ facts, running }: BundleInput): boolean {
  if (facts === undefined) return false;
  const { labels, annotations } = facts.meta;
  const asked = [INJECT, LINKERD_INJECT].map(name => annotations[name] ?? labels[name]);
  return running.length > 0 || asked.includes('enabled');
}

export function decide(input: BundleInput): BundleDecision {
  const { namespace, facts, mesh, running, current } = input;
  const held = current?.['data'] as Readonly<Record<string, string>> | undefined;
  // What is in a namespace that is gone goes with it.
  if (facts === undefined) return { kind: 'nothing' };
  if (!isMeshed(input)) {
    const ours = current?.metadata.labels?.[BUNDLE_LABEL] !== undefined;
    return ours ? { kind: 'remove', uid: current.metadata.uid ?? '' } : { kind: 'nothing' };
  }
  // A mesh without an issuer at the moment: what is there stays.
  const own = rootsOf(input, mesh);
  if (own === undefined) return { kind: 'nothing' };
  const labels = { 'app.kubernetes.io/managed-by': 'weft-operator', [BUNDLE_LABEL]: 'true' };
  const files = [mesh, ...running].flatMap(name => {
    const roots = rootsOf(input, name) ?? held?.[trustFileOf(name)];
    return roots === undefined ? [] : [[trustFileOf(name), roots]];
  });
  const desired = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: BUNDLE_NAME, namespace, labels },
    data: { [BUNDLE_FIELD]: own, ...Object.fromEntries(files) },
  };
  return { kind: 'apply', desired };
}

/** PEM; undefined while the mesh has no issuer. */
function rootsOf({ trust }: BundleInput, mesh: string): string | undefined {
  const anchors = trust.get(mesh)?.anchorsDer ?? [];
  return anchors.length === 0 ? undefined : anchors.map(certificatePem).join('');
}
