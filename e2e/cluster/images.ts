import { nodeRun } from './exec.ts';
import { containerdSocket } from './node-config.ts';

const containerdNamespace = 'k8s.io';

/** Imports a docker-archive tarball (tools/image) into the node; pods then find its tags without any registry. */
export async function loadImage(name: string, tar: string): Promise<void> {
  await runCtr(name, ['images', 'import', tar], 120_000);
}

/** Tag and manifest digest (`sha256:...`) of every image in the node. */
export async function listImages(name: string): Promise<Map<string, string>> {
  const lines = (await runCtr(name, ['images', 'list'], 30_000)).trim().split('\n').slice(1);
  return new Map(lines.map(line => line.split(/\s+/)).map(([tag = '', , digest = '']) => [tag, digest]));
}

/** Gives an image of the node a further tag. */
export async function tagImage(name: string, from: string, to: string): Promise<void> {
  await runCtr(name, ['images', 'tag', '--force', from, to], 30_000);
}

async function runCtr(name: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const argv = ['ctr', '--address', containerdSocket, '--namespace', containerdNamespace, ...args];
  return await nodeRun(name, argv, { withMounts: true, timeoutMs });
}
