// docs/performance.md and its charts, from the results of one run. Pure: the same results make the same bytes.
import { chart, type Panel } from './chart.ts';
import type { CellResult, HalfMemory, MemoryResult, Results } from './results.ts';
import { figure } from './summary.ts';
import { verdicts } from './targets.ts';

const described: Readonly<Record<string, string>> = {
  weft: 'Weft, every default feature on: routing, latency-aware balancing, authorisation by identity, metrics',
  haproxy: 'HAProxy, one thread',
  nginx: 'nginx, one worker',
  envoy: 'Envoy with a router and TLS and nothing else',
  'envoy-mesh':
    'Envoy with what a mesh switches on: statistics, request ids, authorisation, retries, outlier detection, peer metadata. Not Istio: without its filters',
  relay: 'bytes over mutual TLS, nothing understood: the least that a pair can cost',
};

const notes: Readonly<Record<string, string>> = {
  grpc_s16:
    'nginx opens an upstream connection for each concurrent stream, the others put them all on one. The relay carries bytes and sees no streams.',
  http1_rate_1000:
    'Latency counts from the moment a request was due, so that no stall hides behind a client that waits for it.',
  http1_rate_5000: 'Latency counts from the moment a request was due.',
  tcp_c16: 'Bytes that are no HTTP. Weft finds that out by itself; the others are told.',
};

const cpuChart = 'performance-cpu.svg';
const memoryChart = 'performance-memory.svg';

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

/** The pair of a name, Weft in bold. */
const shown = (name: string): string => (name === 'weft' ? '**weft**' : name);

const whole = (value: number | undefined): string =>
  value === undefined ? '-' : Math.round(value).toLocaleString('en');

function cellSection(cell: CellResult): string {
  const cpu = figure(cell, 'cpuUs');
  const [rate, p50, p99] = [figure(cell, 'perSecond'), figure(cell, 'p50Us'), figure(cell, 'p99Us')];
  const rows = Object.keys(rate.values).map(name => {
    const [low, high] = cpu.ranges[name] ?? [];
    const own = cpu.values[name];
    const used =
      own === undefined || low === undefined || high === undefined
        ? '-'
        : `${own.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)})`;
    const ratio = cpu.ratios[name];
    const compared = ratio === undefined ? '-' : ratio > 1 ? `**${ratio.toFixed(2)}**` : ratio.toFixed(2);
    return [shown(name), used, compared, whole(rate.values[name]), whole(p50.values[name]), whole(p99.values[name])];
  });
  const note = notes[cell.id];
  const head = ['pair', `CPU us per ${cell.unit} (range)`, 'weft / pair', `${cell.unit}s per s`, 'p50 us', 'p99 us'];
  return [`### ${cell.title}`, ...(note === undefined ? [] : [note]), table(head, rows)].join('\n\n');
}

const mb = (kb: number | undefined): string => (kb === undefined ? '-' : (kb / 1_024).toFixed(1));

function memorySection(memory: readonly MemoryResult[], connections: number): string {
  const cell = (half: HalfMemory, when: 'idle' | 'idleConnections' | 'inFlight' | 'after'): string => {
    const at = half[when];
    return at === undefined ? '-' : `${mb(at.rss)} (${mb(at.privateDirty)})`;
  };
  const rows = memory.flatMap(({ subject, client, server }) =>
    (['client', 'server'] as const).map(name => {
      const half = name === 'client' ? client : server;
      const when = ['idle', 'idleConnections', 'inFlight', 'after'] as const;
      return [shown(subject), name, ...when.map(at => cell(half, at))];
    }),
  );
  const many = connections.toLocaleString('en');
  const head = ['pair', 'half', 'idle', `${many} idle connections`, `${many} in flight`, '30 s after'];
  const unanswered = memory.filter(({ answered }) => answered !== undefined && answered < connections);
  return [
    '## Memory',
    'MB resident, and in brackets private to the process. Idle is before the first request; the connections come after all the load above. nginx counts with its master.',
    table(head, rows),
    ...unanswered.map(({ subject, answered = 0 }) => `${subject} answered ${answered} of the ${many} in flight.`),
    `![Memory 30 s after ${many} requests in flight](${memoryChart})`,
  ].join('\n\n');
}

function machineSection({ machine, versions, method, skipped, cells }: Results): string {
  const dropped = cells.reduce((sum, cell) => sum + cell.dropped, 0);
  const taken = cells.reduce((sum, cell) => sum + cell.readings.length, 0);
  const foreign = cells.flatMap(({ readings }) => readings.map(reading => reading.foreign)).toSorted((a, b) => a - b);
  const middle = foreign[Math.floor(foreign.length / 2)] ?? 0;
  const listed = Object.entries(versions).map(([name, version]) => `${name}: ${version}`);
  return [
    '## How it was taken',
    `${machine.cpu}, ${machine.cpus} CPUs, Linux ${machine.kernel}. ${listed.join('. ')}.`,
    `Load, both proxies and the application share one CPU in a network namespace, the proxies behind redirects as in a pod. ${method.rounds} rounds of ${method.seconds} s, every pair in each round, one after the other. A figure is the median of the rounds; a ratio is the median of the ratios within rounds, because the machine's speed drifts. TLS 1.3 with AES-128-GCM, unless said otherwise above, and certificates on both sides everywhere.`,
    `${taken} readings; ${dropped} were taken anew or left out because other programs had more than ${(100 * method.foreignLimit).toFixed(0)} % of the CPU meanwhile. In half of those that count, others had less than ${(100 * middle).toFixed(1)} %. Latencies, the higher percentiles above all, suffer from such neighbours; CPU per request hardly does. Compare ratios, never figures from different machines.`,
    ...skipped.map(({ what, why }) => `Not measured: ${what} (${why}).`),
    '`make bench` repeats all of it in a quarter of an hour; `BENCH=quick make bench` is three minutes and rougher. `node bench/main.ts --publish` writes this page.',
  ].join('\n\n');
}

function cpuPanels(cells: readonly CellResult[]): Panel[] {
  return cells.map(cell => {
    const { values, ranges } = figure(cell, 'cpuUs');
    const bars = Object.entries(values).map(([name, value]) => {
      const range = ranges[name];
      return { name, value, ...(range === undefined ? {} : { range }) };
    });
    return { title: `${cell.title}: us of CPU per ${cell.unit}`, bars };
  });
}

function memoryPanels(memory: readonly MemoryResult[]): Panel[] {
  const bars = (of: (half: HalfMemory) => number | undefined) =>
    memory.flatMap(({ subject, client, server }) => {
      const [left, right] = [of(client), of(server)];
      return left === undefined || right === undefined ? [] : [{ name: subject, value: (left + right) / 1_024 }];
    });
  return [
    { title: 'Idle: MB resident, both halves', bars: bars(half => half.idle.rss) },
    { title: '30 s after 1,000 requests in flight: MB resident, both halves', bars: bars(half => half.after?.rss) },
  ].filter(panel => panel.bars.length > 0);
}

/** Files below docs/, by name. */
export function pages(results: Results): Record<string, string> {
  const goals = verdicts(results).map(({ what, must, was, holds }) => {
    const word = holds === undefined ? 'not measured' : holds ? 'holds' : '**missed**';
    return [what, must, was ?? '-', word];
  });
  const markdown = [
    '<!-- Written by bench/report.ts from bench/results. Do not edit: a test compares. -->',
    '# Performance',
    `What a pair of proxies costs between two pods, measured on ${results.taken}. Lower is better, and a ratio above 1 is a case that Weft loses.`,
    table(
      ['pair', 'what it is'],
      Object.entries(described).map(([name, what]) => [shown(name), what]),
    ),
    '## What must hold',
    table(['what', 'must', 'was', ''], goals),
    '## CPU and latency',
    `![CPU per request of each pair in each workload](${cpuChart})`,
    ...results.cells.map(cellSection),
    memorySection(results.memory, results.method.connections),
    machineSection(results),
  ].join('\n\n');
  return {
    'performance.md': `${markdown}\n`,
    [cpuChart]: chart('CPU per request of each pair in each workload', cpuPanels(results.cells), 1),
    [memoryChart]: chart('Memory of each pair', memoryPanels(results.memory), 1),
  };
}
