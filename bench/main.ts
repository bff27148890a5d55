// `make bench`: the proxy pair with every default feature on against pairs of HAProxy, nginx, Envoy and a bare byte relay, all behind the same
// redirects, interleaved in one run. Writes bench/out/results.json (every reading) and bench/out/summary.json.
// BENCH=quick: two short rounds and no held connections. `--publish`: also bench/results/<date>.json, docs/performance.md and its charts.
//
// Everything runs in a network namespace of its own and on one CPU, so that requests per second are the inverse of total CPU per request.
import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { buildPrograms } from './build.ts';
import { publish } from './report.ts';

if (process.getuid?.() !== 0) throw new Error('the bench makes a network namespace: run it as root');
const programs = await buildPrograms(line => console.log(line));
const count = cpus().length;
// The run itself stays away from the CPU that is measured, and is a session of its own, which has a share of the CPU of its own.
const elsewhere = count > 1 ? ['taskset', '-c', `0-${count - 2}`] : [];
const run = [process.execPath, join(import.meta.dirname, 'run.ts'), JSON.stringify(programs)];
// The pipe on its standard input tells the run when this process is gone, however that happened.
const child = spawn('unshare', ['--net', ...elsewhere, ...run], {
  stdio: ['pipe', 'inherit', 'inherit'],
  detached: true,
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGTERM'));
const code = await new Promise<number>(done => child.once('close', ended => done(ended ?? 1)));
if (code === 0 && process.argv.includes('--publish')) publish(join(import.meta.dirname, 'out', 'results.json'));
process.exitCode = code;
