import { kubectl } from './node.ts';

interface RawStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly ready: boolean;
  readonly state: { readonly terminated?: { readonly exitCode: number; readonly finishedAt: string } };
  readonly containerID?: string;
}

interface RawPod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly RawStatus[];
    readonly initContainerStatuses?: readonly RawStatus[];
  };
}

export interface PodState {
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly containers: Readonly<Record<string, ContainerState>>;
}

export interface ContainerState {
  readonly restarts: number;
  readonly ready: boolean;
  readonly id: string;
  readonly exitCode?: number;
}

/** The pods that a selector finds, ended ones too, with all their containers; those that are being deleted are left out. */
export async function podStates(namespace: string, selector: string): Promise<PodState[]> {
  const list = JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])) as {
    items: RawPod[];
  };
  return list.items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, status }) => ({
      name: metadata.name,
      uid: metadata.uid,
      phase: status.phase,
      ready: (status.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      containers: Object.fromEntries(
        [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(container => [
          container.name,
          {
            restarts: container.restartCount,
            ready: container.ready,
            id: container.containerID ?? '',
            ...(container.state.terminated === undefined ? {} : { exitCode: container.state.terminated.exitCode }),
          },
        ]),
      ),
    }));
}

/** The one pod that a selector finds. */
export async function podState(namespace: string, selector: string): Promise<PodState> {
  const [first, ...others] = await podStates(namespace, selector);
  if (first === undefined || others.length > 0)
    throw new Error(`${namespace} ${selector}: one pod expected, ${first === undefined ? 0 : others.length + 1} found`);
  return first;
}
