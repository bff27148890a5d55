// The run itself, inside a network namespace of its own. See main.ts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrk } from './load.ts';
import { cpuNs, foreignThreads, memoryKb, usedSince } from './process.ts';
import { type Subject, startSubjects } from './subjects.ts';
import { type Summary, summarise } from './stats.ts';

const rounds = Number(process.env['WEFT_BENCH_ROUNDS'] ?? 6);
const seconds = Number(process.env['WEFT_BENCH_SECONDS'] ?? 3);
const cpu = cpus().length - 1;
/** A reading with a larger share of the CPU taken by others is taken again, at most twice, then dropped. */
const foreignLimit = 0.06;
const out = resolve(import.meta.dirname, 'out');

interface Reading {
  readonly subject: string;
  readonly connections: number;
  readonly round: number;
  readonly cpuUsPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
  readonly foreign: number;
}

async function read(subject: Subject, connections: number, round: number, pids: readonly number[]): Promise<Reading> {
  await wrk({ cpu, connections, seconds: 1, url: subject.url });
  const own = (): number => subject.pids().reduce((sum, pid) => sum + cpuNs(pid), 0);
  const known = new Set([...pids, process.pid]);
  const foreign = (): Map<string, number> => foreignThreads(cpu, known, new Set(['wrk']));
  const [cpuBefore, foreignBefore] = [own(), foreign()];
  const result = await wrk({ cpu, connections, seconds, url: subject.url });
  const used = own() - cpuBefore;
  const foreignNs = usedSince(foreignBefore, foreign());
  return {
    subject: subject.name,
    connections,
    round,
    cpuUsPerRequest: used / 1_000 / result.requests,
    requestsPerSecond: result.requests / result.seconds,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    errors: result.errors,
    foreign: foreignNs / 1e9 / result.seconds,
  };
}

async function readings(subjects: readonly Subject[], connections: number): Promise<Reading[]> {
  const all: Reading[] = [];
  const pids = subjects.flatMap(subject => subject.pids());
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      let good = false;
      for (let attempt = 0; attempt < 3 && !good; attempt++) {
        const reading = await read(subject, connections, round, pids);
        if (reading.errors > 0)
          throw new Error(`${subject.name} failed ${reading.errors} requests: a figure without its answers is none`);
        good = reading.foreign <= foreignLimit;
        if (good) all.push(reading);
      }
    }
    console.log(`  ${connections} connections: round ${round + 1} of ${rounds}`);
  }
  return all;
}

function metric(
  all: readonly Reading[],
  names: readonly string[],
  field: 'cpuUsPerRequest' | 'requestsPerSecond' | 'p50Us' | 'p99Us',
): Summary {
  const byRound = new Map<string, (number | undefined)[]>();
  for (const name of names) {
    byRound.set(
      name,
      Array.from(
        { length: rounds },
        (_, round) => all.find(reading => reading.subject === name && reading.round === round)?.[field],
      ),
    );
  }
  return summarise(byRound, 'weft');
}

const flat = ({ values, ratios, ranges, rounds: count, dropped }: Summary): object => ({
  ...values,
  ratio: ratios,
  ranges,
  rounds: count,
  dropped,
});

function print(title: string, summary: Summary, digits: number): void {
  console.log(`\n${title}`);
  for (const [name, value] of Object.entries(summary.values)) {
    const ratio = summary.ratios[name];
    const [low = 0, high = 0] = summary.ranges[name] ?? [];
    const range = `(${low.toFixed(digits)}-${high.toFixed(digits)})`;
    console.log(
      `  ${name.padEnd(8)} ${value.toFixed(digits).padStart(9)} ${range.padEnd(20)} ${ratio === undefined ? '' : `weft is ${ratio.toFixed(2)} of it`}`.trimEnd(),
    );
  }
}

const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const running = await startSubjects(folder, cpu);
try {
  // Idle: everything has its certificate and nothing has been asked yet.
  await sleep(3_000);
  const idle = Object.fromEntries(
    running.pairs.map(subject => [subject.name, subject.pids().map(pid => memoryKb(pid))]),
  );
  const summaryFile: Record<string, unknown> = {};
  const raw: Reading[] = [];
  const names = running.subjects.map(({ name }) => name);
  for (const connections of [16, 1]) {
    const all = await readings(running.subjects, connections);
    raw.push(...all);
    const paired = names.filter(name => name !== 'direct');
    const cpuUs = metric(all, paired, 'cpuUsPerRequest');
    print(`CPU of the pair per request, us, ${connections} connections, 1 KB over mutual TLS`, cpuUs, 1);
    summaryFile[`http1_c${connections}_pair_cpu_us_per_request`] = flat(cpuUs);
    for (const [field, digits] of [
      ['p50Us', 0],
      ['p99Us', 0],
      ['requestsPerSecond', 0],
    ] as const) {
      const value = metric(all, names, field);
      if (field === 'p50Us') print(`median latency, us, ${connections} connections`, value, digits);
      summaryFile[`http1_c${connections}_${field.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`] =
        flat(value);
    }
  }
  for (const half of ['client', 'server'] as const) {
    const index = half === 'client' ? 0 : 1;
    for (const kind of ['rss', 'pss', 'privateDirty'] as const) {
      const values = new Map(Object.entries(idle).map(([name, halves]) => [name, [halves[index]?.[kind]]]));
      const value = summarise(values, 'weft');
      if (kind !== 'pss') print(`idle ${half} half, ${kind}, kB`, value, 0);
      summaryFile[`idle_${half}_${kind.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}_kb`] = flat(value);
    }
  }
  mkdirSync(out, { recursive: true });
  const versions = {
    kernel: release(),
    cpu: cpus()[0]?.model,
    haproxy: execFileSync('haproxy', ['-v'], { encoding: 'utf8' }).split('\n')[0],
    rounds,
    seconds,
  };
  writeFileSync(join(out, 'summary.json'), `${JSON.stringify(summaryFile, null, 2)}\n`);
  writeFileSync(join(out, 'raw.json'), `${JSON.stringify({ versions, idle, readings: raw }, null, 2)}\n`);
  console.log('\nwritten: bench/out/summary.json, bench/out/raw.json');
} finally {
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
}
