import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ClusterPaths } from './paths.ts';
import type { ProcessRef } from './process.ts';

/** A started program, with all that is needed to start it again. */
export interface ComponentState {
  ref: ProcessRef;
  argv: string[];
  env: Record<string, string>;
  log: string;
}

export interface ClusterState {
  kind: 'node' | 'api-only';
  /** `starting` until everything was seen ready once: a cluster found so was interrupted. */
  phase: 'starting' | 'running';
  startedAt: string;
  /** In the order in which they were started. */
  components: Record<string, ComponentState>;
  /** URL of the API server. */
  server: string;
}

export async function readState(paths: ClusterPaths): Promise<ClusterState | undefined> {
  try {
    return JSON.parse(await readFile(paths.state, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    // Half a file cannot come from writeState; whatever it is, `down` cleans up without it.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function writeState(paths: ClusterPaths, state: ClusterState): Promise<void> {
  await mkdir(dirname(paths.state), { recursive: true });
  await writeFile(`${paths.state}.new`, `${JSON.stringify(state, null, 2)}\n`);
  await rename(`${paths.state}.new`, paths.state);
}
