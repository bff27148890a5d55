// Which namespace's bundle an object matters to. Pure; called for the old and the new object of every change.
import { nameOf, PROXY_LABEL } from '../../kernel/index.ts';
import type { NamespaceFacts, PodFacts } from '../../model/index.ts';
import type { BundleFacts } from './facts.ts';

export const namespaceOfNamespace = ({ meta }: NamespaceFacts): string => meta.name;

export const namespaceOfBundle = ({ key }: BundleFacts): string => nameOf(key).namespace;

/** Only pods with a proxy make a namespace meshed. */
export function namespaceOfPod({ meta }: PodFacts): string | undefined {
  return meta.labels[PROXY_LABEL] === undefined ? undefined : meta.namespace;
}
