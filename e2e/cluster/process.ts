import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process as it can be told from a later one with the same id. */
export interface ProcessRef {
  pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat (proc_pid_stat(5)). */
  startTicks: number;
}

/** Environment variable that every process of a cluster carries: the folder it belongs to. */
export const clusterVariable = 'WEFT_CLUSTER';

export interface DaemonOptions {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** File to which both outputs are appended. */
  log: string;
}

/** Starts a process that outlives this one, in a session of its own. */
export async function startDaemon({ argv, env, log }: DaemonOptions): Promise<ProcessRef> {
  const [program = '', ...args] = argv;
  const output = await open(log, 'a');
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      env: { ...env },
      cwd: '/',
    });
    await started(child, program);
    child.unref();
    return processRef(child.pid);
  } finally {
    await output.close();
  }
}

export async function started(child: ChildProcess, program: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', cause => reject(new Error(`${program} cannot be started`, { cause })));
  });
}

export function processRef(pid: number | undefined): ProcessRef {
  const startTicks = pid === undefined ? undefined : startTicksOf(pid);
  if (pid === undefined || startTicks === undefined) throw new Error(`process ${pid} ended as soon as it started`);
  return { pid, startTicks };
}

/** False for a zombie: it holds nothing any more and only waits for its parent. */
export function isAlive(ref: ProcessRef): boolean {
  return startTicksOf(ref.pid) === ref.startTicks;
}

export async function waitForEnd(ref: ProcessRef, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(ref)) {
    if (performance.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

/** Sends a signal to a process that may already have ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function startTicksOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
}

// The command's name (field 2) is in brackets and may itself hold spaces and brackets; what follows starts at field 3.
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export function parentOf(pid: number): number | undefined {
  const parent = statFields(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}
