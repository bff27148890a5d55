// `unshare --net node bench/instructions.ts PROXY LOAD [CELL...]`: instructions that each half of the pair executes per request, counted by
// callgrind. Unlike times they are the same on a busy machine, so that two versions of the proxy can be compared to one per cent.
// Leaves the profiles in bench/out, for callgrind_annotate.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cells } from './cells.ts';
import { stopAll } from './process.ts';
import { startSubjects } from './subjects.ts';

const [, , proxy = '', load = '', ...ids] = process.argv;
const out = resolve(import.meta.dirname, 'out');
const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const cpu = Number(process.env['WEFT_BENCH_CPU'] ?? cpus().length - 1);
const seconds = 4;

/** Writes what was counted so far into a file of its own and begins anew. */
const dump = (pid: number): void => {
  execFileSync('callgrind_control', ['--dump', String(pid)], { stdio: 'ignore' });
};

/** Instructions in the newest profile of a process. */
function counted(pid: number): number {
  const newest = readdirSync(out)
    .filter(name => name.startsWith(`callgrind.out.${pid}.`))
    .map(name => ({ name, part: Number(name.split('.').at(-1)) }))
    .toSorted((left, right) => left.part - right.part)
    .at(-1);
  if (newest === undefined) throw new Error(`callgrind left no profile of ${pid}`);
  return Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(join(out, newest.name), 'utf8'))?.[1]);
}

mkdirSync(out, { recursive: true });
for (const name of readdirSync(out).filter(each => each.startsWith('callgrind.out.'))) rmSync(join(out, name));
const under = ['valgrind', '--tool=callgrind', `--callgrind-out-file=${join(out, 'callgrind.out.%p')}`, '-q'];
try {
  const programs = { proxy, under, load, relay: '', envoy: undefined, nginxStream: false };
  const running = await startSubjects(folder, cpu, programs, ['weft']);
  for (const subject of running.pairs) {
    const { client, server } = subject.pids();
    for (const cell of cells(cpu, load).filter(({ id }) => ids.length === 0 || ids.includes(id))) {
      // Long enough for every handshake: each is worth hundreds of requests.
      await cell.load(subject, 6);
      for (const pid of [...client, ...server]) dump(pid);
      const { requests } = await cell.load(subject, seconds);
      for (const pid of [...client, ...server]) dump(pid);
      const of = (pids: readonly number[]): number =>
        Math.round(pids.reduce((sum, pid) => sum + counted(pid), 0) / requests);
      console.log(`${cell.id}: client ${of(client)}, server ${of(server)} instructions per ${cell.unit} (${requests})`);
    }
    console.log(`profiles: client ${client.join()}, server ${server.join()}`);
  }
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
