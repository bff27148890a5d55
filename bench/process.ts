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

/** Busy ticks of one CPU so far, all processes. */
export function cpuTicks(cpu: number): number {
  const line =
    readFileSync('/proc/stat', 'utf8')
      .split('\n')
      .find(candidate => candidate.startsWith(`cpu${cpu} `)) ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
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
