// Child processes of the rig: pinned to a CPU, ended by the kernel when the rig is gone, asked over IPC.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const alive = new Set<ChildProcess>();

export interface Child {
  readonly pid: number;
  /** One question with one answer; rejects when the process fails or ends. */
  ask(method: string, params: unknown): Promise<unknown>;
  readonly ended: Promise<number>;
  /** What it wrote last. */
  said(): string;
  stop(): Promise<void>;
}

export interface ChildOptions {
  /** Node's own options, the script, its arguments. */
  readonly argv: readonly string[];
  /** As taskset takes them; empty: all. */
  readonly cpus: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly ipc?: boolean;
  /** Before everything else that runs on the machine; for measurements. */
  readonly first?: boolean;
}

export function startChild({ argv, cpus, env = {}, ipc = false, first = false }: ChildOptions): Child {
  // setpriv, taskset and nice replace themselves, so the child's id is the program's.
  const pinned = cpus === '' ? [] : ['taskset', '-c', cpus];
  const prefix = ['--pdeathsig', 'KILL', ...pinned, ...(first ? ['nice', '-n', '-20'] : [])];
  const child = spawn('setpriv', [...prefix, process.execPath, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    env: { ...process.env, ...env },
    serialization: 'advanced',
    // A session's share of a CPU is decided before the priorities within it, so each has one of its own.
    detached: first,
  });
  if (first && child.pid !== undefined) prefer(child.pid);
  alive.add(child);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  let text = '';
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-4_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('message', (answer: { readonly id: number; readonly result?: unknown; readonly error?: string }) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error === undefined) asked?.resolve(answer.result);
    else asked?.reject(new Error(answer.error));
  });
  const ended = new Promise<number>(resolve => {
    child.once('exit', code => {
      alive.delete(child);
      for (const asked of waiting.values()) asked.reject(new Error(`the process ended with code ${code}: ${text}`));
      waiting.clear();
      resolve(code ?? 1);
    });
  });
  return {
    pid: child.pid ?? 0,
    ended,
    said: () => text,
    ask: (method, params) => {
      const asked = Promise.withResolvers<unknown>();
      lastId += 1;
      waiting.set(lastId, asked);
      child.send({ id: lastId, method, params });
      return asked.promise;
    },
    stop: async () => {
      if (!alive.has(child)) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A process that leads a session gets that session's share of the CPU raised. */
export function prefer(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-20');
  } catch {
    // A kernel without session groups.
  }
}

export async function stopChildren(): Promise<void> {
  await Promise.all(
    [...alive].map(async child => {
      const ended = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }),
  );
}
