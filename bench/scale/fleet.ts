// All simulated proxies, spread over processes.
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import type { Counts, ProxySpec, Receipts, WorkerMethods } from './worker-methods.ts';

export interface Target {
  readonly fleet: 'weft' | 'floor';
  readonly port: number;
  readonly rootPem: string;
}

export interface Fleet {
  add(target: Target, proxies: readonly ProxySpec[], atOnce: number): Promise<number>;
  arm(fleet: Target['fleet'], name: string): Promise<void>;
  /** Waits until so many receipts have come, or the time is over. */
  received(expected: number, timeoutMs: number): Promise<Receipts>;
  served(fleet: Target['fleet'], sinceMs: number, timeoutMs: number): Promise<{ acceptedMs: number[]; losses: number }>;
  churn(on: boolean): Promise<number[]>;
  counts(): Promise<Counts>;
  certify(tokens: readonly string[], atOnce: number): Promise<{ tookMs: number[]; refused: number }>;
  close(fleet: Target['fleet']): Promise<void>;
  stop(): Promise<void>;
}

export interface FleetOptions {
  readonly processes: number;
  readonly cpus: string;
  readonly first: boolean;
}

export function startFleet({ processes, cpus, first }: FleetOptions): Fleet {
  const script = join(import.meta.dirname, 'worker.ts');
  const workers = Array.from({ length: processes }, () => startChild({ argv: [script], cpus, ipc: true, first }));
  const sizes = { weft: workers.map(() => 0), floor: workers.map(() => 0) };

  type Answer<M extends keyof WorkerMethods> = Awaited<ReturnType<WorkerMethods[M]>>;
  const each = <M extends keyof WorkerMethods>(
    method: M,
    params: (index: number) => Parameters<WorkerMethods[M]>[0],
  ): Promise<Answer<M>[]> =>
    Promise.all(workers.map((worker: Child, index) => worker.ask(method, params(index)) as Promise<Answer<M>>));
  const share = <T>(items: readonly T[], index: number): T[] =>
    items.filter((_, position) => position % workers.length === index);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

  let expectedOf: readonly number[] = [];
  return {
    add: async (target, proxies, atOnce) => {
      const parts = workers.map((_, index) => share(proxies, index));
      for (const [index, part] of parts.entries())
        sizes[target.fleet][index] = (sizes[target.fleet][index] ?? 0) + part.length;
      const answers = await each('add', index => ({
        ...target,
        proxies: parts[index] ?? [],
        atOnce: Math.ceil(atOnce / workers.length),
      }));
      return sum(answers.map(({ served }) => served));
    },
    arm: async (fleet, name) => {
      expectedOf = sizes[fleet];
      await each('arm', () => ({ fleet, name }));
    },
    received: async (expected, timeoutMs) => {
      const all = sum(expectedOf);
      const answers = await each('received', index => ({
        expected: expected === all ? (expectedOf[index] ?? 0) : Math.ceil(expected / workers.length),
        timeoutMs,
      }));
      const receivedMs = answers.flatMap(answer => answer.receivedMs).toSorted((left, right) => left - right);
      return { receivedMs, message: answers[0]?.message ?? '' };
    },
    served: async (fleet, sinceMs, timeoutMs) => {
      const answers = await each('served', () => ({ fleet, sinceMs, timeoutMs }));
      return {
        acceptedMs: answers.flatMap(answer => answer.acceptedMs).toSorted((left, right) => left - right),
        losses: sum(answers.map(({ losses }) => losses)),
      };
    },
    churn: async on => (await each('churn', () => ({ on }))).flat(),
    counts: async () => {
      const answers = await each('counts', () => ({}));
      return {
        messages: sum(answers.map(({ messages }) => messages)),
        bytes: sum(answers.map(({ bytes }) => bytes)),
        strangers: sum(answers.map(({ strangers }) => strangers)),
      };
    },
    certify: async (tokens, atOnce) => {
      const answers = await each('certify', index => ({
        fleet: 'weft',
        tokens: share(tokens, index),
        atOnce: Math.ceil(atOnce / workers.length),
      }));
      return {
        tookMs: answers.flatMap(({ tookMs }) => tookMs),
        refused: sum(answers.map(({ refused }) => refused)),
      };
    },
    close: async fleet => {
      sizes[fleet] = workers.map(() => 0);
      await each('close', () => ({ fleet }));
    },
    stop: async () => void (await Promise.all(workers.map(worker => worker.stop()))),
  };
}
