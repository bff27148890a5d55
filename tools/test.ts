// Runs every test in stages and ends with one line that counts them all: `N passed, N failed`.
//
//   node tools/test.ts              every stage
//   node tools/test.ts unit rust    these stages
//
// A stage that dies without counting a failure counts as one failed test, so that nothing can end green by crashing early.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheRoot } from './components/build.ts';
import { type Failure, failureLines, failuresOfCargo, failuresOfVitest, type VitestReport } from './stages/failures.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Stage {
  readonly name: string;
  readonly what: string;
  run(): Promise<Counts>;
}

const failures: Failure[] = [];
const scratch = mkdtempSync(join(tmpdir(), 'weft-test-'));
// Outside the tree, so that a clean checkout does not compile every dependency anew; cargo itself knows what is stale.
const cargo = { CARGO_TARGET_DIR: join(cacheRoot(), 'target', 'test'), CARGO_INCREMENTAL: '0' };

/** Runs a command with its output passed on; resolves with the exit code and what it printed. */
function command(
  argv: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('an empty command');
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...cargo, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (stream: NodeJS.WriteStream) => (chunk: Buffer) => {
      output += chunk.toString();
      stream.write(chunk);
    };
    child.stdout.on('data', keep(process.stdout));
    child.stderr.on('data', keep(process.stderr));
    child.on('error', reject);
    child.on('close', code => resolve({ code: code ?? 1, output }));
  });
}

/** A check that has one verdict. */
async function check(argv: readonly string[], cwd?: string): Promise<Counts> {
  const { code, output } = await command(argv, cwd === undefined ? {} : { cwd });
  if (code !== 0) failures.push({ test: argv.join(' '), said: output.trimEnd().split('\n').slice(-6).join('\n') });
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

async function all(checks: readonly (() => Promise<Counts>)[]): Promise<Counts> {
  let total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const next of checks) total = add(total, await next());
  return total;
}

const add = (left: Counts, right: Counts): Counts => ({
  passed: left.passed + right.passed,
  failed: left.failed + right.failed,
  skipped: left.skipped + right.skipped,
});

async function vitest(...projects: readonly [string, ...string[]]): Promise<Counts> {
  const [project] = projects;
  const file = join(scratch, `${project}.json`);
  const { code } = await command([
    'vitest',
    'run',
    ...projects.flatMap(name => ['--project', name]),
    '--reporter',
    'default',
    '--reporter',
    'json',
    '--outputFile.json',
    file,
  ]);
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    failures.push({ test: `vitest ${project}`, said: 'wrote no report' });
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const named = failuresOfVitest(report, process.cwd());
  failures.push(...named);
  if (named.length === 0 && code !== 0)
    failures.push({ test: `vitest ${project}`, said: `exit code ${code} though no test failed: see its output` });
  const failed = Math.max(report.numFailedTests, code === 0 ? 0 : 1);
  return { passed: report.numPassedTests, failed, skipped: report.numPendingTests };
}

async function cargoTest(): Promise<Counts> {
  const { code, output } = await command(['cargo', 'test', '--workspace', '--locked', '--no-fail-fast'], {
    cwd: 'proxy-image',
  });
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const match of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts = add(counts, { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3]) });
  }
  const named = failuresOfCargo(output);
  failures.push(...named);
  if (named.length === 0 && code !== 0)
    failures.push({ test: 'cargo test', said: output.trimEnd().split('\n').slice(-6).join('\n') });
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

const stages: readonly Stage[] = [
  {
    name: 'static',
    what: 'format, lint, types, generated files, dependencies, Rust format and clippy',
    run: () =>
      all([
        () => check(['biome', 'format', '.']),
        () => check(['oxlint', '--type-aware']),
        () => check(['node', 'tools/lint-text.ts']),
        () => check(['tsc', '--noEmit']),
        () => check(['node', 'tools/gen.ts', '--check']),
        () => check(['node', 'tools/dependencies.ts']),
        () => check(['cargo', 'fmt', '--check'], 'proxy-image'),
        () =>
          check(['cargo', 'clippy', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'], 'proxy-image'),
      ]),
  },
  {
    name: 'unit',
    what: 'pure and in-process TypeScript tests',
    // The chart is rendered by helm and by kubectl: with an empty cache each takes minutes to build, which no single test waits for.
    run: () => all([() => check(['node', 'tools/components/build.ts', 'helm', 'kubernetes']), () => vitest('unit')]),
  },
  { name: 'rust', what: 'the proxy workspace', run: cargoTest },
  { name: 'fuzz', what: 'hostile input to the proxy, for a bounded time', run: () => check(['node', 'tools/fuzz.ts']) },
  {
    name: 'build',
    what: 'Kubernetes and the other components, images',
    run: () =>
      all([() => check(['node', 'tools/components/build.ts', 'all']), () => check(['node', 'tools/images.ts'])]),
  },
  {
    name: 'protocols',
    what: 'the real proxy before conformance suites and real programs',
    run: () => vitest('protocols'),
  },
  { name: 'api', what: 'a real kube-apiserver and etcd', run: () => vitest('api') },
  { name: 'cluster', what: 'the local node itself', run: () => vitest('cluster') },
  { name: 'e2e', what: 'the mesh on a real node', run: () => vitest('e2e', 'e2e-alone') },
  {
    name: 'demo',
    what: 'what a newcomer types; it fails by itself when it does not show what it should',
    // On a node of its own name, so that a demo somebody looks at is left alone.
    run: () =>
      all(
        ['up', 'down'].map(what => () => check(['env', 'WEFT_DEMO_CLUSTER=demo-test', 'node', 'tools/demo.ts', what])),
      ),
  },
];

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter(name => !stages.some(stage => stage.name === name));
  if (unknown.length > 0)
    throw new Error(`no stage named ${unknown.join(', ')}; there are ${stages.map(stage => stage.name).join(', ')}`);
  let total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  for (const stage of stages.filter(candidate => wanted.length === 0 || wanted.includes(candidate.name))) {
    console.log(`\n== ${stage.name}: ${stage.what}`);
    const started = performance.now();
    const counts = await stage.run();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const line = `${stage.name.padEnd(9)} ${seconds.padStart(7)} s  ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
    lines.push(line);
    console.log(`== ${line}`);
    total = add(total, counts);
  }
  if (failures.length > 0) console.log(`\n${failureLines(failures).join('\n')}`);
  console.log(`\n${lines.join('\n')}\n`);
  // The shape that readers of test output expect alone on the last line.
  console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
