import { join } from 'node:path';
import { execPath } from 'node:process';
import { type ExecResult, nodeExec } from '../cluster/index.ts';
import { clusterName } from './node.ts';

/** Runs `weft` as the node's administrator; a non-zero exit code is a result. */
export async function weft(args: readonly string[], timeoutMs = 240_000): Promise<ExecResult> {
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  return await nodeExec(clusterName, [execPath, main, ...args], { timeoutMs });
}
