import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/** Folder of all clusters of this checkout. */
export const clustersFolder = resolve(import.meta.dirname, '../../.cluster');

export interface ClusterPaths {
  name: string;
  /** Everything of the cluster lies below; absolute. */
  folder: string;
  /** Held while a cluster is brought up or down; beside the folder, so that it outlives it. */
  lock: string;
  state: string;
  kubeconfig: string;
  certificates: string;
  config: string;
  data: string;
  /** Plugins of the container runtime, and their configuration: the node's own, because pods may change them. */
  cni: Readonly<Record<'programs' | 'configurations', string>>;
  /** Kept by `down`, emptied by `up`. */
  log: string;
  /** Links to programs for `bin/node-exec`. */
  bin: string;
  /** Process ids of the namespaces' holders, for `bin/node-exec`. */
  holderPid: Readonly<Record<'node' | 'outside', string>>;
  /** Path of the cluster's control group below each hierarchy's mount point; unique among checkouts. */
  cgroup: string;
}

/** Throws on a name that is not a DNS label of at most 30 characters. */
export function clusterPaths(name: string): ClusterPaths {
  if (!/^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$/.test(name)) {
    throw new Error(`"${name}" is not a cluster name: use 1 to 30 of a-z, 0-9 and "-", not "-" at either end`);
  }
  const folder = join(clustersFolder, name);
  const checkout = createHash('sha256').update(folder).digest('hex').slice(0, 8);
  return {
    name,
    folder,
    lock: `${folder}.lock`,
    state: join(folder, 'cluster.json'),
    kubeconfig: join(folder, 'kubeconfig'),
    certificates: join(folder, 'certificates'),
    config: join(folder, 'config'),
    data: join(folder, 'data'),
    cni: { programs: join(folder, 'cni/bin'), configurations: join(folder, 'cni/conf') },
    log: join(folder, 'log'),
    bin: join(folder, 'bin'),
    holderPid: { node: join(folder, 'node.pid'), outside: join(folder, 'outside.pid') },
    cgroup: `weft-${name}-${checkout}`,
  };
}
