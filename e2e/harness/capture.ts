import { spawn } from 'node:child_process';
import { enterCommand, nodeEnvironment } from '../cluster/index.ts';
import { clusterName } from './node.ts';
import { eventually } from './poll.ts';

/**
 * Captures what crosses the node's bridge while `during` runs and resolves with the raw bytes (a pcap stream). `filter` is in tcpdump's language.
 * Starts `during` only when the capture is known to be on.
 */
export async function captureBytes(filter: string, during: () => Promise<void>): Promise<Buffer> {
  const [program = '', ...args] = await enterCommand(clusterName, [
    'tcpdump',
    '-i',
    'cni0',
    '-U',
    '-s',
    '0',
    '-w',
    '-',
    filter,
  ]);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...nodeEnvironment(clusterName) },
  });
  const chunks: Buffer[] = [];
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  try {
    await eventually('tcpdump listens', async () => said.includes('listening on'), { deadlineMs: 10_000 });
    await during();
    // The kernel hands packets over in blocks; the last one may take until its timeout.
    const size = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    let before = -1;
    await eventually(
      'the capture is complete',
      async () => {
        const now = size();
        const settled = now === before && now > 24;
        before = now;
        return settled;
      },
      { deadlineMs: 10_000, everyMs: 500 },
    );
  } finally {
    child.kill('SIGINT');
    await ended;
  }
  return Buffer.concat(chunks);
}
