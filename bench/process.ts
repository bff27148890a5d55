import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const alive = new Set<ChildProcess>();

/**
 * Starts a program on one CPU with the highest priority. It is killed by the kernel when the bench itself is, so nothing that was started can
 * outlive a run, however that ends.
 */
export function spawnPinned(cpu: number, argv: readonly string[], options: SpawnOptions): ChildProcess {
  const prefix = ['--pdeathsig', 'KILL', 'taskset', '-c', String(cpu), 'nice', '-n', '-20'];
  // setpriv, taskset and nice replace themselves, so the child's id is the program's.
  const child = spawn('setpriv', [...prefix, ...argv], options);
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  return child;
}

/** Ends everything that was started and waits until it has ended. */
export async function stopAll(): Promise<void> {
  await Promise.all([...alive].map(stop));
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await ended;
  clearTimeout(timer);
}

/** A program under test. */
export class Program {
  readonly name: string;
  private readonly child: ChildProcess;
  private said = '';

  constructor(name: string, cpu: number, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.child = spawnPinned(cpu, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    const keep = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-4_000);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    this.child.once('exit', code => {
      if (code !== null && code !== 0) console.error(`${name} ended with code ${code}: ${this.said}`);
    });
  }

  get pid(): number {
    if (this.child.pid === undefined || this.child.exitCode !== null)
      throw new Error(`${this.name} does not run: ${this.said}`);
    return this.child.pid;
  }

  /** Its own id and those of its children: nginx works in a child of its master. */
  get pids(): number[] {
    const text = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    return [this.pid, ...text.trim().split(' ').filter(Boolean).map(Number)];
  }
}

/** Waits until something listens. */
export async function listening(address: string, deadlineMs = 20_000): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  const started = performance.now();
  for (;;) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect({ host, port: Number(port) }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (performance.now() - started > deadlineMs)
      throw new Error(`nothing listens on ${address} after ${deadlineMs} ms`);
    await sleep(50);
  }
}
