import type { ObjectKey } from '../kernel/index.ts';

/** What of a caller can change the answer to "where does this address go?". Proxies with equal views share encoded resources. */
export interface View {
  readonly mesh: string;
  readonly namespace: string;
  /** Empty when the node has none. */
  readonly zone: string;
  readonly node: string;
}

/** Who asks: `workload` depends on the pod, everything else on the view alone. */
export interface Who {
  readonly view: View;
  readonly podKey: ObjectKey;
  /** Tells the pod from others that had its name. */
  readonly podUid: string;
}

/** Equal views, equal keys. No part can hold a slash. */
export function viewKey(view: View): string {
  return `${view.mesh}/${view.namespace}/${view.zone}/${view.node}`;
}
