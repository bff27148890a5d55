import { loadPrograms } from './load.ts';
import type { Cell } from './cells.ts';
import { cpuNs, foreignThreads, usedSince } from './proc.ts';
import type { CellResult, Reading } from './results.ts';
import type { Subject } from './subjects.ts';

export interface Plan {
  readonly cpu: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  /** A reading with a larger share of the CPU taken by others is taken again, at most twice, then dropped. */
  readonly foreignLimit: number;
  /** Every process of the bench. */
  readonly pids: readonly number[];
  /** Milliseconds of performance.now() after which nothing is taken again. */
  readonly deadlineMs: number;
  say(line: string): void;
}

const all = (subject: Subject): readonly number[] => Object.values(subject.pids()).flat();

async function read(cell: Cell, subject: Subject, round: number, plan: Plan): Promise<Reading> {
  await cell.load(subject, plan.warmSeconds);
  const own = (): number => all(subject).reduce((sum, pid) => sum + cpuNs(pid), 0);
  const known = new Set([...plan.pids, process.pid]);
  const foreign = (): Map<string, number> => foreignThreads(plan.cpu, known, loadPrograms);
  const [foreignBefore, cpuBefore] = [foreign(), own()];
  const result = await cell.load(subject, plan.seconds);
  const used = own() - cpuBefore;
  const foreignNs = usedSince(foreignBefore, foreign());
  if (result.errors > 0 || result.requests === 0) {
    throw new Error(
      `${cell.id}: ${subject.name} failed ${result.errors} and answered ${result.requests}: a figure without its answers is none`,
    );
  }
  return {
    subject: subject.name,
    round,
    cpuUs: used / 1_000 / result.requests,
    perSecond: result.requests / result.seconds,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    foreign: foreignNs / 1e9 / result.seconds,
  };
}

/** All subjects one after the other, round by round: never one of them alone in a quiet minute. */
export async function measure(cell: Cell, subjects: readonly Subject[], plan: Plan): Promise<CellResult> {
  const readings: Reading[] = [];
  let dropped = 0;
  for (let round = 0; round < plan.rounds; round++) {
    for (const subject of subjects) {
      let good = false;
      for (let attempt = 0; attempt < 3 && !good; attempt++) {
        const reading = await read(cell, subject, round, plan);
        good = reading.foreign <= plan.foreignLimit;
        if (good) readings.push(reading);
        else dropped++;
        if (performance.now() > plan.deadlineMs) break;
      }
    }
    const seen = readings.filter(reading => reading.round === round);
    plan.say(
      `${cell.id} round ${round + 1} of ${plan.rounds}: ${seen.map(({ subject, cpuUs }) => `${subject} ${cpuUs.toFixed(1)}`).join(', ')} us/${cell.unit}`,
    );
  }
  const { id, title, unit, loop } = cell;
  return { id, title, unit, loop, rounds: plan.rounds, readings, dropped };
}
