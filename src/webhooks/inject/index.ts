/**
 * Injection: a pure function from a pod and its surroundings to a JSON patch. Applied to its own result it gives no patch.
 */
import type { MeshConfigSpec } from '../../api/index.ts';
import { PROXY_LABEL, REDIRECT_RULES } from '../../kernel/index.ts';
import { type JsonPatch, pointer } from '../json-patch.ts';
import { type ContainerInput, firstContainer, proxyContainer, redirectRules, volumes } from './containers.ts';
import {
  type DecideOptions,
  type Labelled,
  redirectWarnings,
  type SkipReason,
  skipReason,
  skipWarnings,
  uidWarnings,
} from './decide.ts';
import { INIT_CONTAINER, INJECTED_VERSION, PROXY_CONTAINER, VALIDATE_CONTAINER } from './names.ts';
import type { PodObject, PodSpec, StringMap } from './pod.ts';
import { probePatches } from './probes.ts';
import { proxySettings } from './settings.ts';

export type { Labelled, SkipReason } from './decide.ts';
export type { PodObject } from './pod.ts';

export interface MeshForInjection {
  readonly name: string;
  readonly spec: MeshConfigSpec;
  /** Roots as PEM; empty while there are none. */
  readonly trustAnchorsPem: string;
}

export interface InjectOptions extends DecideOptions {
  /** The proxy image that belongs to this operator; `proxy.image` of the MeshConfig wins. */
  readonly proxyImage: string;
  /** Pull policy of that image. */
  readonly imagePullPolicy: string;
  /** host:port of the operator's gRPC port, e.g. weft-operator.weft-system.svc:8086. */
  readonly controlAddress: string;
  readonly controlName: (mesh: string) => string;
  /** Version of the operator, for people. */
  readonly version: string;
}

export interface Injection {
  /** Empty: the pod stays as it is. */
  readonly patch: readonly JsonPatch[];
  readonly skipped?: SkipReason;
  readonly warnings: readonly string[];
}

export function inject(pod: PodObject, namespace: Labelled, mesh: MeshForInjection, options: InjectOptions): Injection {
  const skipped = skipReason(pod, namespace, options);
  // Another webhook may have added containers since: their probes are seen to as well.
  if (skipped === 'AlreadyInjected' && isOurs(pod)) return { patch: probePatches(pod), skipped, warnings: [] };
  if (skipped !== undefined) return { patch: [], skipped, warnings: skipWarnings(skipped) };
  const warnings = [...uidWarnings(pod)];
  const annotations = pod.metadata?.annotations ?? {};
  const settings = proxySettings(
    { pod: annotations, namespace: namespace.annotations, mesh: mesh.spec, nativeSidecars: options.nativeSidecar },
    warnings,
  );
  warnings.push(...redirectWarnings(pod, namespace, settings));
  const input: ContainerInput = {
    ...(mesh.spec.proxy.image === ''
      ? { image: options.proxyImage, imagePullPolicy: options.imagePullPolicy }
      : { image: mesh.spec.proxy.image, imagePullPolicy: mesh.spec.proxy.imagePullPolicy }),
    settings,
    mesh: mesh.name,
    controlAddress: options.controlAddress,
    controlName: options.controlName(mesh.name),
    trustAnchorsPem: mesh.trustAnchorsPem,
  };
  // Probes first: their paths count containers as they stand before anything is put in front of them.
  const patch = [
    ...probePatches(pod),
    ...mapPatches(pod, 'labels', { [PROXY_LABEL]: mesh.name }),
    ...mapPatches(pod, 'annotations', {
      [INJECTED_VERSION]: options.version,
      // Whatever the pod says itself: what is left out by it would go round the mesh.
      ...(settings.byPlugin ? { [REDIRECT_RULES]: redirectRules(settings) } : {}),
      ...(settings.nativeSidecar ? {} : defaultContainer(pod)),
    }),
    ...volumePatches(pod.spec ?? {}),
    ...(settings.nativeSidecar ? sidecarPatches(pod.spec ?? {}, input) : plainPatches(pod.spec ?? {}, input)),
  ];
  return { patch, warnings };
}

function isOurs(pod: PodObject): boolean {
  return (pod.spec?.initContainers ?? []).some(({ name }) => name === INIT_CONTAINER || name === VALIDATE_CONTAINER);
}

/** In front of the user's init containers, which then have a network like the application's. */
function sidecarPatches(spec: PodSpec, input: ContainerInput): readonly JsonPatch[] {
  const path = pointer('spec', 'initContainers');
  const ours = [firstContainer(input), proxyContainer(input)];
  if (isEmpty(spec.initContainers)) return [{ op: 'add', path, value: ours }];
  return ours.map((value, index) => ({ op: 'add', path: `${path}/${index}`, value }));
}

/**
 * The rules are written behind the user's init containers, which run before the proxy does and so must not be redirected to it. Those of the CNI plugin are
 * there from the beginning: what is missing of them should be known first. The proxy stands in front of the user's containers, because the kubelet starts
 * them in order.
 */
function plainPatches(spec: PodSpec, input: ContainerInput): readonly JsonPatch[] {
  const path = pointer('spec', 'initContainers');
  const init: JsonPatch = isEmpty(spec.initContainers)
    ? { op: 'add', path, value: [firstContainer(input)] }
    : { op: 'add', path: `${path}/${input.settings.byPlugin ? '0' : '-'}`, value: firstContainer(input) };
  return [init, { op: 'add', path: pointer('spec', 'containers', 0), value: proxyContainer(input) }];
}

/** kubectl takes the first container where none is named; that should go on to be the user's. */
function defaultContainer(pod: PodObject): StringMap {
  const key = 'kubectl.kubernetes.io/default-container';
  const first = pod.spec?.containers?.find(container => container.name !== PROXY_CONTAINER)?.name ?? '';
  return first === '' || pod.metadata?.annotations?.[key] !== undefined ? {} : { [key]: first };
}

function volumePatches(spec: PodSpec): readonly JsonPatch[] {
  const path = pointer('spec', 'volumes');
  const held = new Set((spec.volumes ?? []).map(volume => volume.name));
  const missing = volumes().filter(volume => !held.has(volume.name));
  if (isEmpty(spec.volumes)) return [{ op: 'add', path, value: missing }];
  return missing.map(value => ({ op: 'add', path: `${path}/-`, value }));
}

function mapPatches(pod: PodObject, field: 'labels' | 'annotations', values: StringMap): readonly JsonPatch[] {
  const path = pointer('metadata', field);
  const held = pod.metadata?.[field];
  if (held === undefined || held === null) return [{ op: 'add', path, value: values }];
  return Object.entries(values).map(([key, value]) => ({ op: 'add', path: path + pointer(key), value }));
}

function isEmpty(list: readonly unknown[] | null | undefined): boolean {
  return list === undefined || list === null || list.length === 0;
}
