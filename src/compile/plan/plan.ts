import { type ObjectKey, PROXY_LABEL } from '../../kernel/index.ts';
import type { Who } from '../../model/index.ts';
import type { EffectiveSplit, World } from '../resolve/index.ts';
import { nodeOf } from '../resolve/index.ts';

/** Everything that is decided, ready to be rendered for whoever asks. Nothing in it depends on a particular proxy. */
export interface Plan {
  readonly world: World;
  /** By root Service. */
  readonly splits: ReadonlyMap<ObjectKey, EffectiveSplit>;
}

/** How a pod sees the mesh; undefined when it is unknown or has no proxy of a mesh that is configured. */
export function whoIs(plan: Plan, podKey: ObjectKey): Who | undefined {
  const pod = plan.world.snapshot.pods.get(podKey);
  const mesh = pod?.meta.labels[PROXY_LABEL] ?? '';
  if (pod === undefined || !plan.world.meshes.has(mesh)) return undefined;
  const view = {
    mesh,
    namespace: pod.meta.namespace,
    zone: nodeOf(plan.world, pod.node)?.zone ?? '',
    node: pod.node,
  };
  return { view, podKey };
}
