import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { hierarchies, requireVersion1 } from './cgroups.ts';

const ensurePackages = resolve(import.meta.dirname, '../../tools/ensure-packages');

/** Throws a sentence that says what to change if a node cannot run here; installs missing Debian packages. */
export async function requireMachine(kind: 'node' | 'api-only'): Promise<void> {
  if (kind === 'node') requireVersion1(await hierarchies());
  await promisify(execFile)(ensurePackages, kind === 'node' ? [] : ['etcd-server']);
}

export function requireRoot(): void {
  if (process.getuid?.() !== 0)
    throw new Error('the local node needs root: it creates namespaces, mounts and control groups');
}
