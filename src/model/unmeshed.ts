// Pods that should have a proxy and have none: they were made while nobody could be asked. What admission decides by the whole pod is decided here by
// what is known of it, so this is for telling; who acts on it must bear that a successor may come without a proxy as well.
import { INJECT, LINKERD_INJECT, PROXY_LABEL } from '../kernel/index.ts';
import type { ObjectMeta } from './meta.ts';
import type { PodFacts, Snapshot } from './snapshot.ts';

const MIRROR = 'kubernetes.io/config.mirror';
/** Namespace label with which users keep all our webhooks away. */
const WEBHOOKS = 'weft.dev/admission-webhooks';

export function isRunning(pod: PodFacts): boolean {
  return pod.phase !== 'Succeeded' && pod.phase !== 'Failed';
}

export function isMeshed(pod: PodFacts): boolean {
  return pod.meta.labels[PROXY_LABEL] !== undefined;
}

export function unmeshedPods(
  { namespaces, pods }: Pick<Snapshot, 'namespaces' | 'pods'>,
  controlNamespace: string,
): readonly PodFacts[] {
  const byName = new Map([...namespaces.values()].map(({ meta }) => [meta.name, meta]));
  return [...pods.values()].filter(pod => {
    const namespace = byName.get(pod.meta.namespace);
    if (pod.meta.namespace === controlNamespace || namespace?.labels[WEBHOOKS] === 'disabled') return false;
    if (pod.meta.annotations[MIRROR] !== undefined) return false;
    if (!isRunning(pod) || isMeshed(pod) || pod.hostNetwork) return false;
    return (injectValue(pod.meta) ?? (namespace === undefined ? undefined : injectValue(namespace))) === 'enabled';
  });
}

/** Undefined: the object does not say. */
function injectValue({ labels, annotations }: ObjectMeta): string | undefined {
  for (const key of [INJECT, LINKERD_INJECT]) {
    const value = annotations[key] ?? labels[key];
    if (value !== undefined) return value;
  }
  return undefined;
}
