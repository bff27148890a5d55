// The controller of Canaries on the node, and metrics for it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process, { execPath } from 'node:process';
import { install } from '../../tools/install.ts';
import { enterCommand, nodeAddress, nodeEnvironment } from '../cluster/index.ts';
import { clusterName, waitRollout } from './node.ts';
import { eventually } from './poll.ts';

const PORT = 9_191;

export interface CanaryController {
  /** What was asked and answered so far, for when a case fails. */
  said(): string;
  /** Takes both away again. */
  stop(): Promise<void>;
}

/** Installs `weft-canary`, which asks an adapter on the node for metrics. */
export async function startCanaryController(): Promise<CanaryController> {
  const main = join(import.meta.dirname, 'query-adapter.ts');
  const command = [execPath, main, nodeAddress.ipv4, String(PORT)];
  const [program = '', ...args] = await enterCommand(clusterName, command, { where: 'node' });
  // For kubectl.
  const env = { ...process.env, ...nodeEnvironment(clusterName) };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-16_384);
    });
  const end = new Promise<void>(resolve => void child.once('close', () => resolve()));
  await eventually('the adapter listens', () => Promise.resolve(said.includes('adapter listens')));
  const server = `http://${nodeAddress.ipv4}:${PORT}`;
  await install(clusterName, { helmArgs: ['--set=canary.enabled=true', `--set=canary.metricsServer=${server}`] });
  await waitRollout('weft-system', 'weft-canary');
  return {
    said: () => said,
    stop: async () => {
      child.kill('SIGTERM');
      await end;
      await install(clusterName);
    },
  };
}
