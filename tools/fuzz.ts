// Fuzzes the proxy for a bounded time; what is found fails, with the input's name.
//
//   node tools/fuzz.ts                     every target for 10 seconds
//   node tools/fuzz.ts --seconds 600 h1_request chunked
//   node tools/fuzz.ts --grow config       keeps what reaches new code, and drops what no longer adds any
//
// libFuzzer with the stable compiler: its instrumentation is a pass of LLVM's that needs no nightly flag. An input that fails is written to
// fuzz-findings/ (or WEFT_FUZZ_FINDINGS); moved into proxy-image/fuzz/corpus/<target> it is replayed by `cargo test` from then on.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** Fuzzes, then keeps of the corpus and of what was found the fewest inputs that reach as much. */
async function grow(programs: string, target: string, seconds: number, findings: string): Promise<Verdict> {
  const scratch = mkdtempSync(join(tmpdir(), `weft-fuzz-${target}-`));
  const corpus = join('corpus', target);
  const fixed = [`-max_len=${LONGEST[target] ?? 2048}`, `-artifact_prefix=${findings}/${target}-`];
  const merged = join(scratch, 'merged');
  mkdirSync(merged);
  mkdirSync(join(scratch, 'new'));
  try {
    const found = await run(
      [
        join(programs, target),
        join(scratch, 'new'),
        corpus,
        `-max_total_time=${seconds}`,
        `-timeout=${SLOW}`,
        ...fixed,
      ],
      {},
    );
    if (found.code !== 0) return { target, ...found };
    const kept = await run([join(programs, target), '-merge=1', merged, corpus, join(scratch, 'new'), ...fixed], {});
    if (kept.code !== 0) return { target, ...kept };
    const known = new Set(readdirSync(join(crate, corpus)));
    for (const file of readdirSync(merged))
      if (!known.has(file)) renameSync(join(merged, file), join(crate, corpus, file));
    return { target, ...kept };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
