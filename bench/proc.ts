// What /proc tells of CPU and memory.
import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds of CPU that a process and all its threads have used (first field of schedstat). */
export function cpuNs(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return total;
}

/** Kilobytes. */
export interface Memory {
  readonly rss: number;
  readonly pss: number;
  readonly privateDirty: number;
}

/** Of all these processes together, from smaps_rollup. */
export function memoryKb(pids: readonly number[]): Memory {
  const sum = { rss: 0, pss: 0, privateDirty: 0 };
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN);
    sum.rss += field('Rss');
    sum.pss += field('Pss');
    sum.privateDirty += field('Private_Dirty');
  }
  return sum;
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
