import { readdir } from 'node:fs/promises';
import { isHealthy } from './health.ts';
import { clusterPaths, clustersFolder } from './paths.ts';
import { findRemains } from './remains.ts';
import { readState } from './state.ts';

export interface ClusterSummary {
  name: string;
  kind: 'node' | 'api-only';
  /** `running`, `broken` (crashed or interrupted: `up` and `down` both repair that). */
  status: 'running' | 'broken';
  server: string;
}

/** All clusters of this checkout that are up or left something. */
export async function listClusters(): Promise<ClusterSummary[]> {
  const entries = await readdir(clustersFolder, { withFileTypes: true }).catch(() => []);
  const names = entries.filter(entry => entry.isDirectory()).map(entry => entry.name);
  const found: ClusterSummary[] = [];
  for (const name of names.toSorted()) {
    const paths = clusterPaths(name);
    const state = await readState(paths);
    const { pids, cgroups } = await findRemains(paths);
    if (state === undefined && pids.length + cgroups.length === 0) continue;
    const isRunning = state?.phase === 'running' && (await isHealthy(name, state));
    found.push({
      name,
      kind: state?.kind ?? 'node',
      status: isRunning ? 'running' : 'broken',
      server: state?.server ?? '-',
    });
  }
  return found;
}
