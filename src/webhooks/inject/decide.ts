// Whether a pod gets a proxy: an ordered list of small questions, of which the first that objects gives the reason.
import { INJECT, LINKERD_INJECT } from '../../kernel/index.ts';
import { INIT_CONTAINER, PROXY_CONTAINER, PROXY_UID } from './names.ts';
import type { ProxySettings } from './settings.ts';
import { type PodObject, type StringMap, allContainers } from './pod.ts';

/** Closed list; shown to users and counted. */
export type SkipReason =
  | 'NotEnabled'
  | 'Disabled'
  | 'InvalidInjectValue'
  | 'ControlPlane'
  | 'HostNetwork'
  | 'StaticPod'
  | 'UnsupportedSystem'
  | 'AlreadyInjected'
  | 'OtherMesh';

export interface Labelled {
  readonly name: string;
  readonly labels: StringMap;
  readonly annotations: StringMap;
}

export interface DecideOptions {
  readonly controlNamespace: string;
  readonly nativeSidecar: boolean;
  /** Whether `linkerd.io/inject` is ours to read: false where Linkerd's own injector is installed. */
  readonly acceptLinkerdAnnotations: boolean;
}

/** Containers with which other meshes' proxies announce themselves. */
const OTHER_PROXIES: ReadonlySet<string> = new Set([
  'linkerd-proxy',
  'istio-proxy',
  'kuma-sidecar',
  'consul-dataplane',
  'envoy-sidecar',
]);

/** Undefined: inject. */
export function skipReason(pod: PodObject, namespace: Labelled, options: DecideOptions): SkipReason | undefined {
  const asked = injectValue(pod, namespace, options);
  const names = allContainers(pod).map(container => container.name ?? '');
  if (asked === undefined) return 'NotEnabled';
  if (asked === 'disabled') return 'Disabled';
  if (asked !== 'enabled') return 'InvalidInjectValue';
  if (namespace.name === options.controlNamespace) return 'ControlPlane';
  if (pod.spec?.hostNetwork === true) return 'HostNetwork';
  // A mirror of what the kubelet read from a file: changing it changes nothing, and such pods have no token.
  if (pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined) return 'StaticPod';
  if (pod.spec?.os?.name === 'windows') return 'UnsupportedSystem';
  if (names.includes(PROXY_CONTAINER)) return 'AlreadyInjected';
  if (names.some(name => OTHER_PROXIES.has(name))) return 'OtherMesh';
  return undefined;
}

/** Reasons that the user did not ask for are worth a warning. */
const SKIP_WARNINGS: Readonly<Partial<Record<SkipReason, string>>> = {
  InvalidInjectValue: `not meshed: ${INJECT} must be "enabled" or "disabled"`,
  HostNetwork:
    'not meshed: pods with hostNetwork share the network of their node; set hostNetwork: false to mesh this one',
  StaticPod: 'not meshed: static pods have no service account token',
  UnsupportedSystem: 'not meshed: there is no proxy for this operating system',
  OtherMesh: `not meshed: the pod carries the proxy of another mesh; remove it or set ${INJECT}: disabled`,
};

export function skipWarnings(reason: SkipReason): readonly string[] {
  const warning = SKIP_WARNINGS[reason];
  return warning === undefined ? [] : [warning];
}

/** A container that runs as the proxy's user is taken for the proxy by the redirect rules, and so bypasses it. */
export function uidWarnings(pod: PodObject): readonly string[] {
  return allContainers(pod)
    .filter(container => container.name !== PROXY_CONTAINER)
    .filter(container => (container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser) === PROXY_UID)
    .map(
      container =>
        `container ${container.name ?? ''} runs as user ${PROXY_UID}, which is the proxy's: what it sends bypasses the mesh; use another runAsUser`,
    );
}

/** What the way in which the rules are written means for this pod. */
export function redirectWarnings(
  pod: PodObject,
  namespace: Labelled,
  { byPlugin, nativeSidecar }: ProxySettings,
): readonly string[] {
  const level = namespace.labels['pod-security.kubernetes.io/enforce'];
  if (!byPlugin && (level === 'baseline' || level === 'restricted'))
    return [
      `the namespace has Pod Security level ${level}, which forbids NET_ADMIN to ${INIT_CONTAINER}; annotate it weft.dev/redirect=cni, so that the CNI plugin of the node writes the rules`,
    ];
  const early = (pod.spec?.initContainers ?? []).filter(
    container => container.restartPolicy !== 'Always' && container.securityContext?.runAsUser !== PROXY_UID,
  );
  if (byPlugin && !nativeSidecar && early.length > 0)
    return [
      `init containers (${early.map(({ name }) => name ?? '').join(', ')}) have no TCP: the rules of the CNI plugin are there before the proxy is an ordinary container; use native sidecars, or weft.dev/skip-outbound-ports`,
    ];
  return [];
}

/** The pod before the namespace; our own key before Linkerd's; an annotation before a label. */
function injectValue(pod: PodObject, namespace: Labelled, options: DecideOptions): string | undefined {
  const keys = options.acceptLinkerdAnnotations ? [INJECT, LINKERD_INJECT] : [INJECT];
  const places = [pod.metadata?.annotations, pod.metadata?.labels, namespace.annotations, namespace.labels];
  for (const [first, second] of [places.slice(0, 2), places.slice(2)]) {
    for (const key of keys) {
      const value = first?.[key] ?? second?.[key];
      // Linkerd's third value routes by a header for ingress controllers; the nearest thing is an ordinary proxy.
      if (value !== undefined) return key === LINKERD_INJECT && value === 'ingress' ? 'enabled' : value;
    }
  }
  return undefined;
}
