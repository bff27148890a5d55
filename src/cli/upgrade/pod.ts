// A pod with a proxy, as far as an upgrade is concerned.
// Not from the folder's index, which loads the operator's base class and with it every kind of Kubernetes.
import { isRecord } from '../../kube/raw-object.ts';
import { PROXY_LABEL } from '../../kernel/index.ts';

const PROXY_CONTAINER = 'weft-proxy';

export interface ProxyPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly mesh: string;
  /** Workload that owns it; empty: none. */
  readonly owner: string;
  readonly ready: boolean;
  readonly ending: boolean;
  readonly phase: string;
  readonly proxy: ProxyContainer;
}

export interface ProxyContainer {
  /** JSON pointer: a native sidecar is one of the init containers. */
  readonly path: string;
  /** As the spec has it. */
  readonly image: string;
  /** Of the container that runs or ran last. */
  readonly containerId: string;
  readonly ready: boolean;
  /** It ran and has ended. */
  readonly ended: boolean;
  /** Why it does not run, e.g. ImagePullBackOff; empty when it does. */
  readonly waiting: string;
  readonly message: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Undefined for a pod without a proxy of ours. */
export function proxyPod(value: unknown): ProxyPod | undefined {
  const pod = record(value);
  const [metadata, spec, status] = [record(pod['metadata']), record(pod['spec']), record(pod['status'])];
  const proxy = proxyContainer(spec, status);
  if (proxy === undefined) return undefined;
  const owner = records(metadata['ownerReferences']).find(({ controller }) => controller === true) ?? {};
  return {
    namespace: text(metadata['namespace']),
    name: text(metadata['name']),
    uid: text(metadata['uid']),
    mesh: text(record(metadata['labels'])[PROXY_LABEL]),
    owner: text(owner['uid']),
    ready: records(status['conditions']).some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    ending: metadata['deletionTimestamp'] !== undefined,
    phase: text(status['phase']),
    proxy,
  };
}

function proxyContainer(spec: Json, status: Json): ProxyContainer | undefined {
  for (const [list, statuses] of [
    ['initContainers', 'initContainerStatuses'],
    ['containers', 'containerStatuses'],
  ] as const) {
    const index = records(spec[list]).findIndex(({ name }) => name === PROXY_CONTAINER);
    if (index < 0) continue;
    const state = records(status[statuses]).find(({ name }) => name === PROXY_CONTAINER) ?? {};
    const waiting = record(record(state['state'])['waiting']);
    return {
      path: `/spec/${list}/${index}`,
      image: text(records(spec[list])[index]?.['image']),
      containerId: text(state['containerID']),
      ready: state['ready'] === true,
      ended: record(state['state'])['terminated'] !== undefined,
      waiting: text(waiting['reason']),
      message: text(waiting['message']),
    };
  }
  return undefined;
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {};
}

function records(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
