import { readdir, readFile } from 'node:fs/promises';
import process from 'node:process';
import { groupFolders, groupProcesses } from './cgroups.ts';
import type { ClusterPaths } from './paths.ts';
import { clusterVariable, isAlive, parentOf } from './process.ts';
import { readState } from './state.ts';

/** What of a cluster is there, whether or not its state file knows of it. */
export interface Remains {
  /** Processes that were recorded, carry the cluster's mark in their environment, or are in its control group. */
  pids: number[];
  /** Mount points of this mount namespace below the cluster's folder. */
  mounts: string[];
  cgroups: string[];
}

export async function findRemains(paths: ClusterPaths): Promise<Remains> {
  const state = await readState(paths);
  const recorded = Object.values(state?.components ?? {}).flatMap(({ ref }) => (isAlive(ref) ? [ref.pid] : []));
  const pids = new Set([...recorded, ...(await markedProcesses(paths)), ...(await groupProcesses(paths.cgroup))]);
  for (const own of ancestry()) pids.delete(own);
  return {
    pids: [...pids].toSorted((a, b) => a - b),
    mounts: await mountsBelow(paths.folder),
    cgroups: await groupFolders(paths.cgroup),
  };
}

async function markedProcesses(paths: ClusterPaths): Promise<number[]> {
  const mark = `${clusterVariable}=${paths.folder}`;
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    // A process that ended meanwhile, or belongs to another user, is none of ours.
    const environment = await readFile(`/proc/${entry}/environ`, 'latin1').catch(() => '');
    if (environment.split('\0').includes(mark)) found.push(Number(entry));
  }
  return found;
}

async function mountsBelow(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map(line => line.split(' ')[4] ?? '')
    .filter(point => point === folder || point.startsWith(`${folder}/`));
}

// Whoever asks may run inside the cluster's namespaces (bin/node-exec) and must survive the answer.
function ancestry(): number[] {
  const pids: number[] = [];
  for (let pid: number | undefined = process.pid; pid !== undefined && pid > 1; pid = parentOf(pid)) pids.push(pid);
  return pids;
}
