// Memory: idle, with a thousand idle connections, with a thousand requests in flight, and 30 s after all of it is over.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Half } from './certificates.ts';
import { type Memory, memoryKb } from './proc.ts';
import { spawnPinned } from './process.ts';
import type { MemoryResult } from './results.ts';
import type { Subject } from './subjects.ts';

const quietMs = 30_000;
const patienceMs = 90_000;

export type Halves = Readonly<Record<Half, Memory>>;

export function memoryOf(subject: Subject): Halves {
  const { client, server } = subject.pids();
  return { client: memoryKb(client), server: memoryKb(server) };
}

const larger = (a: Memory, b: Memory): Memory => (a.rss >= b.rss ? a : b);

interface Held {
  readonly before: Halves;
  readonly idleConnections: Halves;
  readonly inFlight: Halves;
  readonly answered: number;
  readonly closedAtMs: number;
}

/** Says what is wrong when the line does not come. */
async function line(lines: AsyncIterator<string>, wanted: RegExp): Promise<string> {
  const late = sleep(patienceMs, undefined, { ref: false });
  const next = await Promise.race([lines.next(), late]);
  if (next === undefined || next.done === true) throw new Error(`no line ${String(wanted)} from bench/load`);
  if (!wanted.test(next.value)) throw new Error(`bench/load said ${next.value}, not ${String(wanted)}`);
  return next.value;
}

async function hold(subject: Subject, connections: number, cpu: number, program: string): Promise<Held> {
  const before = memoryOf(subject);
  const child = spawnPinned(cpu, [program, 'hold', subject.targets.http, String(connections)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('bench/load has no pipes');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  await line(lines, /^idle$/);
  const idleConnections = memoryOf(subject);
  let inFlight = idleConnections;
  stdin.write('burst\n');
  const answer = line(lines, /^answered \d+$/);
  // The largest of what is seen while the answers are waited for.
  for (;;) {
    const now = memoryOf(subject);
    inFlight = { client: larger(inFlight.client, now.client), server: larger(inFlight.server, now.server) };
    if ((await Promise.race([answer, sleep(50)])) !== undefined) break;
  }
  const answered = Number((await answer).split(' ')[1]);
  const ended = new Promise(resolve => child.once('exit', resolve));
  stdin.end('close\n');
  await ended;
  return { before, idleConnections, inFlight, answered, closedAtMs: performance.now() };
}

/** One pair at a time; the half minute after a close passes for all of them together. */
export async function measureMemory(options: {
  readonly subjects: readonly Subject[];
  readonly idle: ReadonlyMap<string, Halves>;
  readonly connections: number;
  readonly cpu: number;
  readonly program: string;
  readonly say: (text: string) => void;
}): Promise<MemoryResult[]> {
  const { subjects, idle, connections, cpu, program, say } = options;
  const held: (readonly [Subject, Halves, Held])[] = [];
  for (const subject of subjects) {
    const atRest = idle.get(subject.name);
    if (atRest === undefined) continue;
    held.push([subject, atRest, await hold(subject, connections, cpu, program)]);
    say(`memory: ${subject.name} has held ${connections} connections`);
  }
  const results: MemoryResult[] = [];
  for (const [subject, atRest, { closedAtMs, answered, ...seen }] of held) {
    await sleep(Math.max(0, closedAtMs + quietMs - performance.now()));
    const after = memoryOf(subject);
    const of = (half: Half) => ({
      idle: atRest[half],
      before: seen.before[half],
      idleConnections: seen.idleConnections[half],
      inFlight: seen.inFlight[half],
      after: after[half],
    });
    results.push({ subject: subject.name, client: of('client'), server: of('server'), answered });
  }
  return results;
}
