import { nodeExec } from './exec.ts';
import { isAlive } from './process.ts';
import type { ClusterState } from './state.ts';

interface Listed {
  items: { kind: string; metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[];
}

const wantedCondition: Readonly<Record<string, string>> = { Node: 'Ready', Deployment: 'Available' };

/** Whether every program of the cluster runs, the node is Ready and the named deployments are available. */
export async function isHealthy(
  name: string,
  state: ClusterState,
  deployments: readonly string[] = ['coredns'],
): Promise<boolean> {
  if (!Object.values(state.components).every(({ ref }) => isAlive(ref))) return false;
  if (state.kind === 'api-only') return true;
  const argv = ['kubectl', 'get', 'nodes,deployments', '--all-namespaces', '--output=json'];
  const { stdout, code } = await nodeExec(name, argv, { timeoutMs: 10_000 });
  if (code !== 0) return false;
  const { items }: Listed = JSON.parse(stdout);
  const ready = items.filter(isReady).map(({ kind, metadata }) => (kind === 'Node' ? 'node' : metadata.name));
  return ['node', ...deployments].every(wanted => ready.includes(wanted));
}

function isReady({ kind, status }: Listed['items'][number]): boolean {
  return (
    status?.conditions?.some(({ type, status: value }) => type === wantedCondition[kind] && value === 'True') ?? false
  );
}
