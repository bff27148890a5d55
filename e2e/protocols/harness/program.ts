import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
}

/** Output that is kept for the message of a failure. */
const KEPT = 8_000;

/** A process that a test has started and ends. */
export class Program {
  readonly name: string;
  private readonly child: ChildProcess;
  private readonly ended: Promise<number>;
  private said = '';

  constructor(name: string, argv: readonly string[], options: ProgramOptions = {}) {
    this.name = name;
    const [program = '', ...args] = argv;
    this.child = spawn(program, args, {
      ...options,
      env: { PATH: process.env['PATH'], ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-KEPT);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    this.ended = new Promise(resolve => {
      this.child.once('error', error => {
        this.said += error.message;
        resolve(-1);
      });
      this.child.once('close', code => resolve(code ?? -1));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined || this.child.exitCode !== null)
      throw new Error(`${this.name} does not run: ${this.said}`);
    return this.child.pid;
  }

  /** What it printed last. */
  get output(): string {
    return this.said;
  }

  /** Waits for its end; -1 when a signal ended it. */
  async exit(deadlineMs: number): Promise<number> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), deadlineMs);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await this.exit(3_000);
  }
}

/** Waits until something listens there, or the program that is to listen has ended. */
export async function listening(host: string, port: number, program: Program, deadlineMs = 60_000): Promise<void> {
  const started = performance.now();
  for (;;) {
    const { pid } = program;
    const open = await new Promise<boolean>(resolve => {
      const socket = connect({ host, port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (performance.now() - started > deadlineMs)
      throw new Error(
        `${program.name} (${pid}) does not listen on ${host}:${port} after ${deadlineMs} ms: ${program.output}`,
      );
    await sleep(20);
  }
}
