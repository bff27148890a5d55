import { spawn } from 'node:child_process';
import { ensureComponent } from '../../tools/components/build.ts';
import { enterCommand } from '../cluster/index.ts';
import { clusterName } from './node.ts';
import { eventually } from './poll.ts';

export interface Stranger {
  stop(): Promise<void>;
}

/** A server that is no pod: on the node's own network, or outside the cluster. Speaks HTTP on `port` of `address` and names itself in every answer. */
export async function startStranger(
  where: 'node' | 'outside',
  { name, address, port }: { readonly name: string; readonly address: string; readonly port: number },
): Promise<Stranger> {
  const binary = await ensureComponent('testapp');
  // The listeners that nobody asks for take any free port.
  const others = ['grpc', 'tcp', 'banner', 'probed', 'udp'].flatMap(listener => [`--${listener}`, `${address}:0`]);
  const [program = '', ...args] = await enterCommand(
    clusterName,
    [binary, 'server', '--name', name, '--http', `${address}:${port}`, ...others],
    { where },
  );
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-4_096);
  });
  let ended = false;
  const end = new Promise<void>(resolve =>
    child.once('close', () => {
      ended = true;
      resolve();
    }),
  );
  await eventually(`${name} listens`, async () => {
    if (ended) throw new Error(said);
    return said.includes(' serves ');
  });
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await end;
    },
  };
}
