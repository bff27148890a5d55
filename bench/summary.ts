// The figures of a run, for a terminal and for programs.
import type { CellResult, Reading, Results } from './results.ts';
import { type Summary, summarise } from './stats.ts';

type Field = 'cpuUs' | 'perSecond' | 'p50Us' | 'p99Us';

/** One figure of a cell over its rounds. CPU is of pairs, so `direct` has none. */
export function figure({ readings, rounds }: Pick<CellResult, 'readings' | 'rounds'>, field: Field): Summary {
  const names = [...new Set(readings.map(({ subject }) => subject))];
  const of = (subject: string, round: number): number | undefined =>
    readings.find((reading: Reading) => reading.subject === subject && reading.round === round)?.[field];
  const byRound = new Map(
    names
      .filter(name => field !== 'cpuUs' || name !== 'direct')
      .map(name => [name, Array.from({ length: rounds }, (_, round) => of(name, round))] as const),
  );
  return summarise(byRound, 'weft');
}

const flat = ({ values, ratios, ranges, rounds, dropped }: Summary): object => ({
  ...values,
  ratio: ratios,
  ranges,
  rounds,
  dropped,
});

const fields: readonly (readonly [Field, string])[] = [
  ['cpuUs', 'pair_cpu_us'],
  ['perSecond', 'per_second'],
  ['p50Us', 'p50_us'],
  ['p99Us', 'p99_us'],
];

export function summaryFile(results: Results): Record<string, object> {
  const file: Record<string, object> = {};
  for (const cell of results.cells) {
    for (const [field, name] of fields) file[`${cell.id}_${name}`] = flat(figure(cell, field));
  }
  for (const { subject, client, server } of results.memory) file[`memory_kb_${subject}`] = { client, server };
  file['skipped'] = results.skipped;
  return file;
}

function table(title: string, summary: Summary, digits: number): void {
  console.log(`\n${title}`);
  for (const [name, value] of Object.entries(summary.values)) {
    const ratio = summary.ratios[name];
    const [low = 0, high = 0] = summary.ranges[name] ?? [];
    const range = `(${low.toFixed(digits)}-${high.toFixed(digits)})`;
    const compared = ratio === undefined ? '' : `weft is ${ratio.toFixed(2)} of it`;
    console.log(`  ${name.padEnd(10)} ${value.toFixed(digits).padStart(9)} ${range.padEnd(20)} ${compared}`.trimEnd());
  }
}

export function print(results: Results): void {
  for (const cell of results.cells) {
    table(`${cell.title}: CPU of the pair, us per ${cell.unit}`, figure(cell, 'cpuUs'), 1);
    table(`${cell.title}: median latency, us`, figure(cell, 'p50Us'), 0);
  }
  console.log('\nmemory, MB: RSS (private), client half / server half');
  for (const { subject, client, server } of results.memory) {
    const at = (when: 'idle' | 'idleConnections' | 'inFlight' | 'after'): string => {
      const [left, right] = [client[when], server[when]];
      if (left === undefined || right === undefined) return '';
      const mb = (kb: number): string => (kb / 1_024).toFixed(1);
      return `${when} ${mb(left.rss)} (${mb(left.privateDirty)}) / ${mb(right.rss)} (${mb(right.privateDirty)})  `;
    };
    console.log(
      `  ${subject.padEnd(10)} ${at('idle')}${at('idleConnections')}${at('inFlight')}${at('after')}`.trimEnd(),
    );
  }
  for (const { what, why } of results.skipped) console.log(`SKIPPED ${what}: ${why}`);
}
