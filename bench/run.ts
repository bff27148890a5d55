// The run itself, inside a network namespace of its own. See main.ts.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cells } from './cells.ts';
import { measure, type Plan } from './measure.ts';
import { type Halves, measureMemory, memoryOf } from './memory.ts';
import { stopAll } from './process.ts';
import type { CellResult, MemoryResult, Results } from './results.ts';
import { type Programs, type Running, startSubjects } from './subjects.ts';
import { print, summaryFile } from './summary.ts';

const quick = process.env['BENCH'] === 'quick';
const rounds = Number(process.env['WEFT_BENCH_ROUNDS'] ?? (quick ? 2 : 5));
const seconds = Number(process.env['WEFT_BENCH_SECONDS'] ?? (quick ? 1 : 2));
/** Ids of cells, comma-separated; all of them by default. */
const only = process.env['WEFT_BENCH_CELLS']?.split(',');
const foreignLimit = Number(process.env['WEFT_BENCH_FOREIGN'] ?? 0.06);
const cpu = cpus().length - 1;
const connections = 1_000;
/** No reading is taken again after this, so that a busy machine makes a run worse and not endless. */
const patienceMs = quick ? 240_000 : 780_000;
const out = resolve(import.meta.dirname, 'out');
const programs = JSON.parse(process.argv[2] ?? '{}') as Programs;

const say = (line: string): void => console.log(`${(performance.now() / 1_000).toFixed(0).padStart(4)} s  ${line}`);

/** First line of what a program says of its version, on whichever of its outputs. */
function version(file: string, flag: string): string {
  const { stdout, stderr } = spawnSync(file, [flag], { encoding: 'utf8' });
  const said = `${stdout}\n${stderr}`.split('\n').find(line => /\d+\.\d+/.test(line)) ?? 'unknown';
  return said.replace(/^.*\/_bin\/envoy\s+version: [0-9a-f]+\/([^/]+)\/.*$/, '$1').trim();
}

function measured({ direct, pairs, missing }: Running, plan: Plan) {
  const chosen = cells(cpu, programs.load).filter(cell => only?.includes(cell.id) ?? true);
  const skipped: { what: string; why: string }[] = missing.map(({ name, why }) => ({ what: name, why }));
  if (quick) skipped.push({ what: 'memory with 1,000 connections', why: 'BENCH=quick' });
  return {
    skipped,
    async cells(): Promise<CellResult[]> {
      const results: CellResult[] = [];
      for (const cell of chosen) {
        say(cell.title);
        const able = pairs.filter(pair => pair.lacks[cell.protocol] === undefined);
        for (const { name, lacks } of pairs) {
          const why = lacks[cell.protocol];
          if (why !== undefined) skipped.push({ what: `${name}: ${cell.title}`, why });
        }
        results.push(await measure(cell, [direct, ...able], plan));
      }
      return results;
    },
    async memory(idle: ReadonlyMap<string, Halves>): Promise<MemoryResult[]> {
      const atRest = [...idle].map(([subject, { client, server }]) => ({
        subject,
        client: { idle: client },
        server: { idle: server },
      }));
      if (quick || (only !== undefined && !only.includes('memory'))) return atRest;
      say(`memory: ${connections} connections, idle and then all in flight`);
      return await measureMemory({ subjects: pairs, idle, connections, cpu, program: programs.load, say });
    },
  };
}

async function run(folder: string): Promise<Results> {
  const running = await startSubjects(folder, cpu, programs);
  // Idle: everything has its certificate and nothing has been asked yet.
  await sleep(3_000);
  const idle = new Map(running.pairs.map(pair => [pair.name, memoryOf(pair)] as const));
  const pids = [running.direct, ...running.pairs].flatMap(subject => Object.values(subject.pids()).flat());
  const deadlineMs = performance.now() + patienceMs;
  const plan = { cpu, rounds, seconds, warmSeconds: quick ? 0.5 : 1, foreignLimit, pids, deadlineMs, say };
  const work = measured(running, plan);
  const cellResults = await work.cells();
  const memory = await work.memory(idle);
  return {
    taken: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model ?? 'unknown', cpus: cpus().length, kernel: release() },
    versions: {
      haproxy: version('haproxy', '-v'),
      nginx: version('nginx', '-v'),
      envoy: programs.envoy === undefined ? 'not measured' : version(programs.envoy, '--version'),
      wrk: version('wrk', '-v'),
    },
    method: { rounds, seconds, foreignLimit, connections },
    cells: cellResults,
    memory,
    skipped: work.skipped,
  };
}

async function end(code: number): Promise<never> {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    console.error(`${signal}: ending everything that was started`);
    void end(130);
  });
}
// Whoever started this is gone.
process.stdin.once('end', () => void end(130)).resume();
try {
  // A session's share of a CPU is decided before the priorities within it.
  writeFileSync('/proc/self/autogroup', '-20');
} catch {
  // A kernel without session groups.
}
try {
  execFileSync('sysctl', ['-qw', 'net.core.somaxconn=4096']);
  const results = await run(folder);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(out, 'summary.json'), `${JSON.stringify(summaryFile(results), null, 2)}\n`);
  print(results);
  say('written: bench/out/summary.json, bench/out/results.json');
  await end(0);
} catch (error) {
  console.error(error);
  await end(1);
}
