import { spawn } from 'node:child_process';
import { nodeExec } from '../../e2e/cluster/index.ts';

/** Where the demo runs: a program that reaches the cluster, and how pods are reached from here. */
export interface Kube {
  /** Runs kubectl; rejects with what it printed when it fails. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** GET (or POST when there is a body) of a pod's port; resolves with the body. */
  http(
    pod: { namespace: string; name: string; ip: string },
    port: number,
    path: string,
    body?: unknown,
  ): Promise<string>;
  /** How a person runs kubectl there. */
  readonly prefix: string;
}

/** The local node of this project: pod addresses are reachable from its network namespace. */
export function localKube(cluster: string): Kube {
  const run = async (argv: readonly string[], input?: string): Promise<string> => {
    const { stdout, stderr, code } = await nodeExec(cluster, argv, {
      timeoutMs: 180_000,
      ...(input === undefined ? {} : { input }),
    });
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}${stdout}`.trim());
    return stdout;
  };
  return {
    prefix: `bin/node-exec ${cluster} kubectl`,
    kubectl: async (args, input) => await run(['kubectl', ...args], input),
    http: async (pod, port, path, body) => {
      const data = body === undefined ? [] : ['--data', JSON.stringify(body)];
      return await run(['curl', '-sS', '--fail', '--max-time', '10', ...data, `http://${pod.ip}:${port}${path}`]);
    },
  };
}

/** The cluster of kubectl's current context: pods are reached through the API server. */
export function currentKube(): Kube {
  const kubectl = (args: readonly string[], input?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn('kubectl', [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.once('error', () =>
        reject(new Error('kubectl is not on the PATH: install it, or leave CLUSTER unset for a node of its own')),
      );
      child.once('close', code =>
        code === 0 ? resolve(stdout) : reject(new Error(`kubectl ${args.join(' ')}: ${stderr}`.trim())),
      );
      child.stdin.on('error', () => {});
      child.stdin.end(input ?? '');
    });
  return {
    prefix: 'kubectl',
    kubectl,
    http: async (pod, port, path, body) => {
      const url = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}:${port}/proxy${path}`;
      if (body === undefined) return await kubectl(['get', '--raw', url]);
      return await kubectl(['create', '--raw', url, '-f', '-'], JSON.stringify(body));
    },
  };
}
