// Which namespace's bundle an object matters to. Pure; called for the old and the new object of every change.
import { nameOf, PROXY_LABEL } from '../../kernel/index.ts';
import type { NamespaceFacts, PodFacts } from '../../model/index.ts';
import type { BundleFacts } from './facts.ts';

export const namespaceOfNamespace = ({ meta }: NamespaceFacts): string => meta.name;

export const namespaceOfBundle = ({ key }: BundleFacts): string => nameOf(key).namespace;

/** Only pods with a proxy make a namespace meshed, and each needs the roots of its own mesh. */
export function proxyOfPod({ meta }: PodFacts): { readonly namespace: string; readonly mesh: string } | undefined {
  const mesh = meta.labels[PROXY_LABEL];
  return mesh === undefined ? undefined : { namespace: meta.namespace, mesh };
}
