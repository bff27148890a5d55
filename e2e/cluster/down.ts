import { execFile } from 'node:child_process';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withLock } from '../../tools/components/lock.ts';
import { removeGroup } from './cgroups.ts';
import { type ClusterPaths, clusterPaths } from './paths.ts';
import { isAlive, signalProcess } from './process.ts';
import { findRemains } from './remains.ts';
import { requireRoot } from './requirements.ts';
import { readState } from './state.ts';

export type Report = (line: string) => void;

const killTimeoutMs = 15_000;

/**
 * Ends a cluster and removes all that it left but its logs: processes, pods, mounts, namespaces, control groups, data.
 * Works on whatever an interrupted or crashed cluster left, and on none at all. Returns whether there was anything.
 */
export async function clusterDown(name: string, report: Report = () => {}): Promise<boolean> {
  const paths = clusterPaths(name);
  if ((await readState(paths))?.kind === 'node') requireRoot();
  return await withLock(
    paths.lock,
    () => removeCluster(paths, report),
    () => report('waiting for another up or down'),
  );
}

/** {@link clusterDown} for a caller that holds the lock. */
export async function removeCluster(paths: ClusterPaths, report: Report): Promise<boolean> {
  const startedMs = performance.now();
  const before = await findRemains(paths);
  const hadState = await stat(paths.state).then(
    () => true,
    () => false,
  );
  if (!hadState && before.pids.length + before.mounts.length + before.cgroups.length === 0) return false;
  await killAll(paths);
  // Mounts were made in the node's own namespace, which ended with its last process; this is for a mount made by hand.
  for (const point of (await findRemains(paths)).mounts.toReversed())
    await promisify(execFile)('umount', ['--lazy', point]);
  await removeGroup(paths.cgroup, killTimeoutMs);
  const kept = [basename(paths.log), basename(paths.state)];
  for (const entry of await readdir(paths.folder).catch(() => [])) {
    if (!kept.includes(entry)) await rm(join(paths.folder, entry), { recursive: true, force: true, maxRetries: 5 });
  }
  // Last: while the state is there, a `down` that was interrupted is known to be unfinished.
  await rm(paths.state, { force: true });
  report(`down in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  return true;
}

// The kubelet first, for it starts again what dies; then round after round, because a process may have started another one
// between being seen and being killed.
async function killAll(paths: ClusterPaths): Promise<void> {
  const kubelet = (await readState(paths))?.components['kubelet']?.ref;
  if (kubelet !== undefined && isAlive(kubelet)) signalProcess(kubelet.pid, 'SIGKILL');
  const deadline = performance.now() + killTimeoutMs;
  for (;;) {
    const { pids } = await findRemains(paths);
    if (pids.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`processes of cluster ${paths.name} do not end: ${pids.join(' ')}`);
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    await sleep(50);
  }
}
