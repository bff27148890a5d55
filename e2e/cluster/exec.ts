import { spawn } from 'node:child_process';
import process from 'node:process';
import { clusterPaths } from './paths.ts';
import { clusterVariable, isAlive, started } from './process.ts';
import { readState } from './state.ts';

export interface ExecOptions {
  /** Written to the program's stdin, which is closed afterwards. */
  input?: string | Buffer;
  /** Added to this process's own environment. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** `outside` runs on the far side of the node's link, as a host that is no part of the cluster. Default `node`. */
  where?: 'node' | 'outside';
  /** Enter the node's mount namespace as well: to reach containerd. Paths are then read there and `cwd` is `/`. */
  withMounts?: boolean;
  signal?: AbortSignal;
  /** Milliseconds, default 60,000. */
  timeoutMs?: number;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  /** Exit code, or 128 plus the number of the signal that ended the program. */
  code: number;
}

/**
 * Runs a program in the network namespace of a node. `kubectl` is on its PATH and KUBECONFIG is set.
 * A non-zero exit code is a result; the promise is rejected on timeout and abort (the program and its children are
 * killed), and when the cluster is not up.
 */
export async function nodeExec(name: string, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  const [program = '', ...args] = await enterCommand(name, argv, options);
  const child = spawn(program, args, {
    cwd: options.cwd,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...nodeEnvironment(name), ...options.env },
  });
  await started(child, program);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that ends without reading its input is no error.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
  return await new Promise<ExecResult>((resolve, reject) => {
    const stop = () => {
      if (child.pid !== undefined) killGroup(child.pid);
      reject(new Error(`${argv.join(' ')}: ${String(signal.reason)}\n${text(stdout)}${text(stderr)}`.trimEnd()));
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    child.once('close', (code, endedBy) => {
      signal.removeEventListener('abort', stop);
      resolve({ stdout: text(stdout), stderr: text(stderr), code: code ?? 128 + signalNumber(endedBy) });
    });
  });
}

/** As {@link nodeExec}, but a non-zero exit code rejects with what the program printed; returns its stdout. */
export async function nodeRun(name: string, argv: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { stdout, stderr, code } = await nodeExec(name, argv, options);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

/** The command that runs `argv` inside the namespaces, for callers that want the child process themselves. */
export async function enterCommand(
  name: string,
  argv: readonly string[],
  { where = 'node', withMounts = false }: Pick<ExecOptions, 'where' | 'withMounts'> = {},
): Promise<string[]> {
  const holder = (await readState(clusterPaths(name)))?.components[where];
  if (holder === undefined || !isAlive(holder.ref)) throw new Error(`cluster ${name} is not up`);
  const namespaces = withMounts ? ['--net', '--mount'] : ['--net'];
  return ['nsenter', '--target', String(holder.ref.pid), ...namespaces, '--', ...argv];
}

/** What a program inside the cluster's namespaces finds in its environment. */
export function nodeEnvironment(name: string): Record<string, string> {
  const paths = clusterPaths(name);
  return {
    PATH: `${paths.bin}:${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`,
    KUBECONFIG: paths.kubeconfig,
    [clusterVariable]: paths.folder,
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

function signalNumber(name: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGTERM: 15,
  };
  return name === null ? 0 : (numbers[name] ?? 0);
}
