import { nodeKey, type ObjectKey, PROXY_LABEL } from '../../kernel/index.ts';
import type { PodFacts, Snapshot, Who } from '../../model/index.ts';
import type { EffectiveSplit, World } from '../resolve/index.ts';
import { onceForBoth } from '../once.ts';

/** Everything that is decided, ready to be rendered for whoever asks. Nothing in it depends on a particular proxy. */
export interface Plan {
  readonly world: World;
  /** By root Service. */
  readonly splits: ReadonlyMap<ObjectKey, EffectiveSplit>;
}

/** How a pod sees the mesh; undefined when it is unknown or has no proxy of a mesh that is configured. The very same while pod and nodes are. */
export function whoIs(plan: Plan, podKey: ObjectKey): Who | undefined {
  const { snapshot, meshes } = plan.world;
  const pod = snapshot.pods.get(podKey);
  if (pod === undefined || !meshes.has(pod.meta.labels[PROXY_LABEL] ?? '')) return undefined;
  return whoOf(snapshot.nodes, pod);
}

const whoOf = onceForBoth((nodes: Snapshot['nodes'], pod: PodFacts): Who => {
  const { namespace, labels, uid } = pod.meta;
  const zone = nodes.get(nodeKey(pod.node))?.zone ?? '';
  const view = { mesh: labels[PROXY_LABEL] ?? '', namespace, zone, node: pod.node };
  return { view, podKey: pod.key, podUid: uid };
});
