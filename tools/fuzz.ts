// Fuzzes the proxy for a bounded time; what is found fails, with the input's name.
//
//   node tools/fuzz.ts                     every target for 10 seconds
//   node tools/fuzz.ts --seconds 600 h1_request chunked
//   node tools/fuzz.ts --grow config       keeps what reaches new code, and drops what no longer adds any
//
// libFuzzer with the stable compiler: its instrumentation is a pass of LLVM's that needs no nightly flag. An input that fails is written to
// fuzz-findings/ (or WEFT_FUZZ_FINDINGS); moved into proxy-image/fuzz/corpus/<target> it is replayed by `cargo test` from then on.

import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { cacheRoot } from './components/build.ts';

const root = join(import.meta.dirname, '..');
const crate = join(root, 'proxy-image/fuzz');

/** What cargo-fuzz passes without a sanitizer; Rust itself finds what a sanitizer would, because unsafe code is forbidden. */
const FLAGS = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
];
/** Longest input, in bytes: past every bound of a parser. */
const LONGEST: Readonly<Record<string, number>> = { detect: 9000, h1_request: 4096, h1_response: 4096 };
/** An input that takes longer is a finding too: in seconds, far above what any takes, because machines are busy. */
const SLOW = 20;
/** Inputs in the corpus of one target. */
const KEPT = 28;

interface Verdict {
  readonly target: string;
  readonly code: number;
  readonly output: string;
}

function targets(): readonly string[] {
  return readdirSync(join(crate, 'fuzz_targets'))
    .map(file => file.replace(/\.rs$/, ''))
    .toSorted();
}

function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, {
      cwd: crate,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', code => resolve({ code: code ?? 1, output }));
  });
}

/** The folder of the programs. */
async function build(): Promise<string> {
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
  const folder = join(cacheRoot(), 'target', 'fuzz');
  // Naming the target keeps the instrumentation away from build scripts and procedural macros.
  const { code, output } = await run(['cargo', 'build', '--locked', '--release', '--bins', '--target', triple], {
    CARGO_TARGET_DIR: folder,
    CARGO_INCREMENTAL: '0',
    RUSTFLAGS: FLAGS.join(' '),
  });
  if (code !== 0) throw new Error(`the fuzzer does not build:\n${output}`);
  return join(folder, triple, 'release');
}

async function fuzz(programs: string, target: string, seconds: number, findings: string): Promise<Verdict> {
  // What is new goes to the first folder, so that the tree stays as it is.
  const scratch = mkdtempSync(join(tmpdir(), `weft-fuzz-${target}-`));
  try {
    const { code, output } = await run(
      [
        join(programs, target),
        scratch,
        join('corpus', target),
        `-max_total_time=${seconds}`,
        `-max_len=${LONGEST[target] ?? 2048}`,
        `-timeout=${SLOW}`,
        '-rss_limit_mb=1024',
        `-artifact_prefix=${findings}/${target}-`,
        '-print_final_stats=1',
        '-verbosity=1',
      ],
      {},
    );
    return { target, code, output };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Fuzzes, then keeps what has a name, and of the rest the few inputs that reach most besides. */
async function grow(programs: string, target: string, seconds: number, findings: string): Promise<Verdict> {
  const scratch = mkdtempSync(join(tmpdir(), `weft-fuzz-${target}-`));
  const corpus = join(crate, 'corpus', target);
  const fixed = [`-max_len=${LONGEST[target] ?? 2048}`, `-timeout=${SLOW}`, `-artifact_prefix=${findings}/${target}-`];
  const [fresh, merged] = [join(scratch, 'new'), join(scratch, 'merged')];
  const control = join(scratch, 'control');
  mkdirSync(fresh);
  mkdirSync(merged);
  try {
    const found = await run([join(programs, target), fresh, corpus, `-max_total_time=${seconds}`, ...fixed], {});
    if (found.code !== 0) return { target, ...found };
    const told = await run(
      [join(programs, target), '-merge=1', `-merge_control_file=${control}`, merged, corpus, fresh, ...fixed],
      {},
    );
    if (told.code !== 0) return { target, ...told };
    const kept = new Set(choose(readFileSync(control, 'utf8')));
    for (const path of kept) if (dirname(path) !== corpus) copyFileSync(path, join(corpus, basename(path)));
    for (const file of readdirSync(corpus)) {
      const path = join(corpus, file);
      if (![...kept].some(other => basename(other) === file)) rmSync(path);
    }
    return { target, ...told };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Of the inputs in libFuzzer's notes on a merge: those that people named, then each time the one that reaches the most new edges. */
function choose(notes: string): readonly string[] {
  const lines = notes.trim().split('\n');
  const paths = lines.slice(2, 2 + Number(lines[0]));
  const inputs = paths.map((path, index) => {
    const line = lines.find(candidate => candidate.startsWith(`COV ${index} `)) ?? '';
    return { path, edges: new Set(line.split(' ').slice(2)), named: !/^[0-9a-f]{40}$/.test(basename(path)) };
  });
  const reached = new Set<string>();
  const kept: string[] = [];
  const keep = ({ path, edges }: (typeof inputs)[number]): void => {
    kept.push(path);
    for (const edge of edges) reached.add(edge);
  };
  for (const input of inputs.filter(candidate => candidate.named)) keep(input);
  while (kept.length < KEPT) {
    const gains = inputs.map(input => ({ input, gain: [...input.edges].filter(edge => !reached.has(edge)).length }));
    const best = gains.reduce((a, b) => (b.gain > a.gain ? b : a));
    if (best.gain === 0) break;
    keep(best.input);
  }
  return kept;
}

function tell({ target, code, output }: Verdict): void {
  const count = /stat::number_of_executed_units:\s*(\d+)/.exec(output)?.[1];
  if (code === 0) {
    process.stdout.write(`fuzz ${target.padEnd(12)} ok${count === undefined ? '' : `, ${count} inputs`}\n`);
    return;
  }
  const input = /Test unit written to (\S+)/.exec(output)?.[1];
  process.stdout.write(`${output.split('\n').slice(-60).join('\n')}\n`);
  process.stdout.write(`fuzz ${target.padEnd(12)} FAILED${input === undefined ? '' : `: ${input}`}\n`);
}

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, grow: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const known = targets();
const unknown = positionals.filter(name => !known.includes(name));
if (unknown.length > 0) throw new Error(`no target named ${unknown.join(', ')}; there are ${known.join(', ')}`);
const seconds = Number(values.seconds);
if (!Number.isInteger(seconds) || seconds < 1) throw new Error(`--seconds ${values.seconds}: a whole number above 0`);

const began = performance.now();
const programs = await build();
process.stdout.write(`fuzz build        ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
const findings = process.env['WEFT_FUZZ_FINDINGS'] ?? join(root, 'fuzz-findings');
mkdirSync(findings, { recursive: true });

const waiting = positionals.length > 0 ? [...positionals] : [...known];
let failed = 0;
async function worker(): Promise<void> {
  for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
    const verdict = await (values.grow ? grow : fuzz)(programs, target, seconds, findings);
    tell(verdict);
    if (verdict.code !== 0) failed += 1;
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker));
if (failed === 0 && readdirSync(findings).length === 0) rmSync(findings, { recursive: true });
process.exitCode = failed === 0 ? 0 : 1;
