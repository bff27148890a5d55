import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { nodeExec } from './exec.ts';
import type { ClusterPaths } from './paths.ts';

/** Whether the API server of an API-only cluster, which listens on the host's loopback, says that it is ready. */
export async function isApiReady(paths: ClusterPaths, server: string): Promise<boolean> {
  const ca = await readFile(join(paths.certificates, 'ca.crt'));
  return await new Promise<boolean>(resolve => {
    const call = request(`${server}/readyz`, { ca, agent: false, timeout: 1000 }, response => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', () => resolve(false));
    call.end();
  });
}

/** The same of a node's, which can be asked only from inside. */
export async function isNodeApiReady(paths: ClusterPaths): Promise<boolean> {
  const { stdout, code } = await nodeExec(paths.name, ['kubectl', 'get', '--raw=/readyz']);
  return code === 0 && stdout === 'ok';
}
