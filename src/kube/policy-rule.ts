// What a part of the operator must be allowed to do: data from which roles are made and against which they are checked.

export interface PolicyRule {
  /**
   * Where the rule is needed: everywhere (ClusterRole), in the control namespace alone (Role), or in the namespaces that are watched, which are all
   * unless they are named (`--watch-namespaces`).
   */
  readonly scope: 'cluster' | 'control-namespace' | 'watched-namespaces';
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Only these objects; not possible for list, watch and create. */
  readonly resourceNames?: readonly string[];
  /** Why it is granted although the API server is never seen to be asked for it; all else is seen in tools/chart/least-privilege.api.test.ts. */
  readonly unseen?: string;
}
