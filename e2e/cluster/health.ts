import { nodeExec } from './exec.ts';
import { isAlive } from './process.ts';
import type { ClusterState } from './state.ts';

interface Listed {
  items: { kind: string; metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[];
}

const wantedCondition: Readonly<Record<string, string>> = { Node: 'Ready', Deployment: 'Available' };

/** Whether every program of the cluster runs, the node is Ready and what `up` installed is available. */
export async function isHealthy(name: string, state: ClusterState): Promise<boolean> {
  if (!Object.values(state.components).every(({ ref }) => isAlive(ref))) return false;
  if (state.kind === 'api-only') return true;
  const argv = ['kubectl', 'get', 'nodes,deployments', '--all-namespaces', '--output=json'];
  const { stdout, code } = await nodeExec(name, argv, { timeoutMs: 10_000 });
  if (code !== 0) return false;
  const { items }: Listed = JSON.parse(stdout);
  const ours = items.filter(({ kind, metadata }) => kind === 'Node' || ['coredns', 'cert-manager'].includes(metadata.name));
  return ours.length >= 2 && ours.every(isReady);
}

function isReady({ kind, status }: Listed['items'][number]): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === wantedCondition[kind] && value === 'True') ?? false;
}
