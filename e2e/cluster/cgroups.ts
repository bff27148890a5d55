import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A mounted hierarchy: version 1 has one per controller, and a hybrid system one of version 2 beside them. */
export interface Hierarchy {
  mountPoint: string;
  version: 1 | 2;
  controllers: string[];
}

const neededControllers = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'devices', 'freezer'];

export async function hierarchies(): Promise<Hierarchy[]> {
  return parseMounts(await readFile('/proc/self/mounts', 'utf8'));
}

/** The control group hierarchies in a mount table (proc_pid_mounts(5)). */
export function parseMounts(table: string): Hierarchy[] {
  const lines = table.split('\n').map(line => line.split(' '));
  return lines.flatMap(([, mountPoint = '', type, options = '']): Hierarchy[] => {
    if (type === 'cgroup2') return [{ mountPoint, version: 2, controllers: [] }];
    return type === 'cgroup' ? [{ mountPoint, version: 1, controllers: options.split(',') }] : [];
  });
}

/** Throws unless every controller that the kubelet manages is mounted with cgroup version 1. */
export function requireVersion1(mounted: readonly Hierarchy[]): void {
  const controllers = new Set(mounted.flatMap(hierarchy => hierarchy.controllers));
  const missing = neededControllers.filter(controller => !controllers.has(controller));
  if (missing.length > 0) {
    throw new Error(
      `the local node needs control groups of version 1 (or hybrid) and this machine does not mount ${missing.join(', ')}; ` +
        'start the kernel with systemd.unified_cgroup_hierarchy=0, or mount the controllers below /sys/fs/cgroup',
    );
  }
}

/** Creates the group in every hierarchy of version 1 and returns its folders, ready to take processes. */
export async function createGroup(path: string): Promise<string[]> {
  const folders: string[] = [];
  for (const { mountPoint, version, controllers } of await hierarchies()) {
    if (version !== 1) continue;
    const parts = path.split('/');
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = join(mountPoint, ...parts.slice(0, depth));
      await mkdir(folder, { recursive: true });
      // A cpuset starts empty and takes no process until it has cpus and memory nodes.
      if (controllers.includes('cpuset')) await inheritCpuset(folder);
    }
    folders.push(join(mountPoint, path));
  }
  return folders;
}

async function inheritCpuset(folder: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    await writeFile(join(folder, file), await readFile(join(folder, '..', file), 'utf8'));
  }
}

/** Ids of all processes in the group and below it. */
export async function groupProcesses(path: string): Promise<number[]> {
  const pids = new Set<number>();
  for (const folder of await groupFolders(path)) {
    const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const line of text.split('\n')) if (line !== '') pids.add(Number(line));
  }
  return [...pids];
}

/** Every folder of the group in every hierarchy, a parent before its children. */
export async function groupFolders(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const { mountPoint } of await hierarchies()) await collectFolders(join(mountPoint, path), found);
  return found;
}

async function collectFolders(folder: string, found: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return;
  found.push(folder);
  for (const entry of entries) if (entry.isDirectory()) await collectFolders(join(folder, entry.name), found);
}

/** Removes the group. The kernel refuses while an ended process is not reaped yet, so it is tried until `timeoutMs`. */
export async function removeGroup(path: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    for (const folder of (await groupFolders(path)).toReversed()) {
      await rmdir(folder).catch((error: unknown) => {
        failure = error;
      });
    }
    if (failure === undefined) return;
    if (performance.now() > deadline) throw new Error(`control group ${path} cannot be removed`, { cause: failure });
    await sleep(50);
  }
}
