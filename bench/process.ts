import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Nanoseconds of CPU that a process and all its threads have used (first field of schedstat). */
export function cpuNs(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return total;
}

/** Kilobytes from smaps_rollup. */
export function memoryKb(pid: number): { rss: number; pss: number; privateDirty: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { rss: field('Rss'), pss: field('Pss'), privateDirty: field('Private_Dirty') };
}

/**
 * CPU nanoseconds so far of every thread of the machine that last ran on `cpu`, kernel threads included, except those of the processes in `known`
 * and those named in `names`. Threads that start and end between two readings are not seen.
 */
export function foreignThreads(
  cpu: number,
  known: ReadonlySet<number>,
  names: ReadonlySet<string>,
): Map<string, number> {
  const threads = new Map<string, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || known.has(pid)) continue;
    try {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        // Field 39 of proc(5)'s stat is the processor; two fields stand before what is left here.
        if (Number(fields[36]) !== cpu || names.has(stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')))) continue;
        threads.set(task, Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]));
      }
    } catch {
      // It ended while it was read.
    }
  }
  return threads;
}

/** Nanoseconds that the threads of `after` have used since `before`. */
export function usedSince(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const [thread, used] of after) total += Math.max(0, used - (before.get(thread) ?? used));
  return total;
}

/** A program under test, pinned to one CPU. Ended by its own process id when the run is over. */
export class Pinned {
  readonly name: string;
  readonly child: ChildProcess;
  private said = '';

  constructor(
    name: string,
    cpu: number,
    argv: readonly string[],
    options: { env?: Record<string, string>; gid?: number } = {},
  ) {
    this.name = name;
    this.child = spawn('taskset', ['-c', String(cpu), 'nice', '-n', '-20', ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const keep = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-4_000);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    // taskset and nice replace themselves, so the child's id is the program's.
    this.child.once('exit', code => {
      if (code !== null && code !== 0) console.error(`${name} ended with code ${code}: ${this.said}`);
    });
  }

  get pid(): number {
    if (this.child.pid === undefined || this.child.exitCode !== null)
      throw new Error(`${this.name} does not run: ${this.said}`);
    return this.child.pid;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise(resolve => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 3_000);
    await ended;
    clearTimeout(timer);
  }
}

/** Waits until something listens. */
export async function listening(host: string, port: number, deadlineMs = 10_000): Promise<void> {
  const started = performance.now();
  for (;;) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect({ host, port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (performance.now() - started > deadlineMs)
      throw new Error(`nothing listens on ${host}:${port} after ${deadlineMs} ms`);
    await sleep(50);
  }
}
