import type { SpawnOptions } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { spawnPinned } from './process.ts';

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers that were no 2xx, and socket errors. */
  readonly errors: number;
}

/** Names of the programs that make load, as the kernel knows them. */
export const loadPrograms: ReadonlySet<string> = new Set(['wrk', 'load']);

const options: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };

async function output(cpu: number, argv: readonly string[]): Promise<string> {
  const { stdout } = spawnPinned(cpu, argv, options);
  return stdout === null ? '' : await text(stdout);
}

/** Closed-loop load by wrk with one thread. */
export async function wrk(cpu: number, url: string, connections: number, seconds: number): Promise<LoadResult> {
  const said = await output(cpu, [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '--latency',
    url,
  ]);
  const parsed = parseWrk(said);
  if (parsed === undefined) throw new Error(`wrk printed what is not understood:\n${said}`);
  return parsed;
}

/** Load by the bench's own program (bench/load). */
export async function own(cpu: number, program: string, args: readonly string[]): Promise<LoadResult> {
  const said = await output(cpu, [program, ...args]);
  try {
    return JSON.parse(said) as LoadResult;
  } catch {
    throw new Error(`load ${args.join(' ')} printed what is not understood:\n${said}`);
  }
}

const inMicroseconds: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

/** Reads wrk 4's report; undefined when it is not one. */
export function parseWrk(report: string): LoadResult | undefined {
  const total = /(\d+) requests in ([\d.]+)(ms|s|m)/.exec(report);
  const latency = (percentile: string): number | undefined => {
    const match = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(report);
    return match === null ? undefined : Number(match[1]) * (inMicroseconds[match[2] ?? ''] ?? Number.NaN);
  };
  const [p50Us, p99Us] = [latency('50'), latency('99')];
  if (total === null || p50Us === undefined || p99Us === undefined) return undefined;
  const seconds = Number(total[2]) * ({ ms: 0.001, s: 1, m: 60 }[total[3] ?? 's'] ?? 1);
  const statuses = Number(/Non-2xx or 3xx responses: (\d+)/.exec(report)?.[1] ?? 0);
  const sockets = [...(/Socket errors: (.*)/.exec(report)?.[1] ?? '').matchAll(/(\d+)/g)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  return { requests: Number(total[1]), seconds, p50Us, p99Us, errors: statuses + sockets };
}
