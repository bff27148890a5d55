import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers that were no 2xx, and socket errors. */
  readonly errors: number;
}

/** Closed-loop load by wrk with one thread on one CPU. */
export async function wrk(options: {
  cpu: number;
  connections: number;
  seconds: number;
  url: string;
}): Promise<LoadResult> {
  const child = spawn(
    'taskset',
    [
      '-c',
      String(options.cpu),
      'nice',
      '-n',
      '-20',
      'wrk',
      '-t1',
      `-c${options.connections}`,
      `-d${options.seconds}s`,
      '--latency',
      options.url,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const output = await text(child.stdout);
  const parsed = parseWrk(output);
  if (parsed === undefined) throw new Error(`wrk printed what is not understood:\n${output}`);
  return parsed;
}

const inMicroseconds: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

/** Reads wrk 4's report; undefined when it is not one. */
export function parseWrk(output: string): LoadResult | undefined {
  const total = /(\d+) requests in ([\d.]+)(ms|s|m)/.exec(output);
  const latency = (percentile: string): number | undefined => {
    const match = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(output);
    return match === null ? undefined : Number(match[1]) * (inMicroseconds[match[2] ?? ''] ?? Number.NaN);
  };
  const [p50Us, p99Us] = [latency('50'), latency('99')];
  if (total === null || p50Us === undefined || p99Us === undefined) return undefined;
  const seconds = Number(total[2]) * ({ ms: 0.001, s: 1, m: 60 }[total[3] ?? 's'] ?? 1);
  const statuses = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  const sockets = [...(/Socket errors: (.*)/.exec(output)?.[1] ?? '').matchAll(/(\d+)/g)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  return { requests: Number(total[1]), seconds, p50Us, p99Us, errors: statuses + sockets };
}
