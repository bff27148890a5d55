// The golden signals of what the proxies here reported: counters by label set, by the slot for hours and by the minute for a day, within a bound.
//
// Past the bound on bytes what is old becomes coarse sooner, and is forgotten sooner; past the bound on series, or where that is not enough, the
// rarest are folded into a series of their workload, and those of rare workloads into one for all. Whatever is done, totals add up to the same.
import { createHash } from 'node:crypto';
import type { Matcher } from '../promql/expression.ts';
import { type LabelSet, labelSet, NAME } from '../promql/labels.ts';
import { createTest } from '../promql/matching.ts';
import { mergeSeries } from '../promql/merge.ts';
import { QueryError } from '../promql/query-error.ts';
import type { SampledSeries } from '../promql/value.ts';
import { createAgeing } from './ageing.ts';
import { fold } from './folding.ts';
import { createEntry } from './increment-log.ts';
import { type Kind, METRICS, type Metric } from './kinds.ts';
import { slotsOf, valuesAt } from './sampling.ts';
import { COARSE_SLOTS, type Reporter, Series, SERIES_BYTES, SLOT_MS } from './series.ts';

export interface StoreLimits {
  readonly maxBytes: number;
  readonly maxSeries: number;
  /** Slots that are kept as such, and at least of them under pressure. */
  readonly fineSlots: number;
  readonly leastFineSlots: number;
  /** Slots until the end of everything, and at least of them under pressure. */
  readonly allSlots: number;
  readonly leastAllSlots: number;
}

const HOUR = 3_600_000 / SLOT_MS;

export const STORE_LIMITS: StoreLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxSeries: 20_000,
  fineSlots: 6 * HOUR,
  leastFineSlots: HOUR,
  allSlots: 24 * HOUR,
  leastAllSlots: 6 * HOUR,
};

export interface Selection {
  readonly matchers: readonly Matcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** More are an error, told in the words of Prometheus. */
  readonly maxSamples: number;
  /** Default 50,000; each bucket of a histogram is one. More are an error as well: each costs the only thread some microseconds. */
  readonly maxSeries?: number;
  /** The series without their samples. */
  readonly labelsOnly?: boolean;
}

export interface SignalStore {
  /** The series of these labels (names and values in turn, by name in ascending order); follow `into` of one that was kept. */
  resolve(kind: Kind, labels: readonly string[], reporter: Reporter): Series;
  add(series: Series, columns: ArrayLike<number>, amounts: ArrayLike<number>, count: number): void;
  /** The slot of now; every report and tick begins with it. */
  advance(nowMs: number): number;
  /** Makes old what is, and keeps to the bounds. Call once a slot. */
  tick(nowMs: number): void;
  select(selection: Selection): readonly SampledSeries[];
  /** The same bit by bit; what is folded meanwhile may be missing, or there twice: compare `folded` before and after. */
  scan(selection: Selection): Generator<readonly SampledSeries[]>;
  /** Values by name of label, of all series that fit. */
  labels(selection: Omit<Selection, 'maxSamples' | 'labelsOnly'>): ReadonlyMap<string, ReadonlySet<string>>;
  readonly bytes: number;
  readonly size: number;
  readonly folded: number;
  readonly windowsMs: { readonly fine: number; readonly all: number };
}

/** Of what has to go at once, so that it is not done again for every one. */
const FOLD_SHARE = 0.1;
/** Once past the bound on bytes, it is kept to this share of it, so that the next report is not past it again. */
const SETTLED = 0.8;
/** From this share of either bound on, what is new is counted for its workload: what was folded must not come back with the next report. */
const FULL = 0.9;
/** So often the rarest make room for what is new, and increments of before count half. */
const ROUND_SLOTS = 60;
/** A window grows again once this much of the bytes is free. */
const ROOM = 0.5;

export function createSignalStore(limits: StoreLimits = STORE_LIMITS): SignalStore {
  const all = new Map<string, Series>();
  const byKind: Readonly<Record<Kind, Set<Series>>> = {
    request: new Set(),
    response: new Set(),
    tcp: new Set(),
    close: new Set(),
  };
  const age = createAgeing();
  const entry = createEntry();
  let slot = 0;
  let logBytes = 0;
  let folded = 0;
  let { fineSlots, allSlots } = limits;

  const bytes = (): number => logBytes + all.size * SERIES_BYTES;
  const measured = <T>(series: Series, change: () => T): T => {
    const before = series.logBytes;
    const result = change();
    logBytes += series.logBytes - before;
    return result;
  };

  function put(
    kind: Kind,
    labels: readonly string[],
    reporter: Reporter | undefined,
    key = keyOf(kind, labels),
  ): Series {
    const known = all.get(key);
    if (known !== undefined) {
      if (known.reporter !== undefined && known.reporter !== reporter) known.reporter = newer(known.reporter, reporter);
      return known;
    }
    const series = new Series({ kind, labels, key, reporter, slot });
    all.set(key, series);
    byKind[kind].add(series);
    return series;
  }

  function remove(series: Series): void {
    all.delete(series.key);
    byKind[series.kind].delete(series);
    logBytes -= series.logBytes;
  }

  /** They become parts of what stands for the rest of their workload, or of everything. */
  function foldAll(victims: readonly Series[]): void {
    const groups = Map.groupBy(victims, series => keyOf(series.kind, restLabels(series)));
    for (const parts of groups.values()) {
      const [first] = parts;
      if (first === undefined) continue;
      const labels = restLabels(first);
      for (const part of parts) remove(part);
      const target = put(first.kind, labels, undefined);
      measured(target, () => fold(target, parts));
      folded += parts.length;
    }
  }

  /** False when there was nothing to fold. */
  function foldRarest(count: number): boolean {
    const candidates = [...all.values()].filter(series => !isForAll(series));
    const victims = candidates.toSorted((a, b) => a.activity - b.activity).slice(0, Math.max(1, count));
    foldAll(victims);
    return victims.length > 0;
  }

  function shrinkWindows(): boolean {
    const [fine, whole] = [fineSlots, allSlots];
    if (fineSlots > limits.leastFineSlots) fineSlots = Math.max(limits.leastFineSlots, Math.floor(fineSlots / 2));
    else if (allSlots > limits.leastAllSlots) allSlots = Math.max(limits.leastAllSlots, Math.floor(allSlots / 2));
    if (fine === fineSlots && whole === allSlots) return false;
    for (const series of all.values()) ageOne(series);
    return true;
  }

  function growWindows(): void {
    if (allSlots < limits.allSlots) allSlots = Math.min(limits.allSlots, allSlots * 2);
    else if (fineSlots < limits.fineSlots) fineSlots = Math.min(limits.fineSlots, fineSlots * 2);
  }

  function ageOne(series: Series): void {
    const whole = (from: number): number => Math.max(0, from - (from % COARSE_SLOTS));
    measured(series, () => age(series, { fineFrom: whole(slot - fineSlots), coarseFrom: whole(slot - allSlots) }));
  }

  function keepBounds(): void {
    if (all.size > limits.maxSeries) foldRarest(all.size - limits.maxSeries + limits.maxSeries * FOLD_SHARE);
    if (bytes() <= limits.maxBytes) return;
    while (bytes() > limits.maxBytes * SETTLED && (shrinkWindows() || foldRarest(all.size * FOLD_SHARE)));
  }

  function advance(nowMs: number): number {
    slot = Math.max(slot, Math.floor(nowMs / SLOT_MS));
    return slot;
  }

  function beginRound(): void {
    if (all.size >= limits.maxSeries * FULL) foldRarest(limits.maxSeries * FOLD_SHARE);
    for (const series of all.values()) series.activity /= 2;
  }

  /** What has had nothing to count for as long as anything is kept, of a proxy that has gone. */
  function foldForgotten(): void {
    const before = slot - allSlots;
    foldAll(
      [...all.values()].filter(
        series => series.isQuiet && series.reporter !== undefined && series.reporter.lastSlot < before,
      ),
    );
  }

  return {
    resolve: (kind, labels, reporter) => {
      const full = all.size >= limits.maxSeries * FULL || bytes() >= limits.maxBytes * FULL;
      const key = keyOf(kind, labels);
      const series =
        full && !all.has(key)
          ? put(kind, restOf(labels, reporter.workload), undefined)
          : put(kind, labels, reporter, key);
      if (all.size > limits.maxSeries) keepBounds();
      return current(series);
    },
    add: (given, columns, amounts, count) => {
      const series = current(given);
      for (let index = 0; index < count; index += 1) {
        const column = columns[index] ?? 0;
        series.total[column] = (series.total[column] ?? 0) + (amounts[index] ?? 0);
      }
      series.activity += 1;
      measured(series, () => series.fine.append(slot, columns, amounts, count));
      if (bytes() > limits.maxBytes) keepBounds();
    },
    advance,
    tick: nowMs => {
      const round = Math.floor(slot / ROUND_SLOTS);
      const turn = advance(nowMs) % COARSE_SLOTS;
      let index = 0;
      // A sixth each time, so that no tick holds up the thread for long.
      for (const series of all.values()) if (index++ % COARSE_SLOTS === turn) ageOne(series);
      if (turn === 0) {
        foldForgotten();
        if (bytes() < limits.maxBytes * ROOM) growWindows();
      }
      if (Math.floor(slot / ROUND_SLOTS) > round) beginRound();
      keepBounds();
    },
    select: selection => [...scan(byKind, { ...selection, newest: slot, entry })].flat(),
    scan: selection => scan(byKind, { ...selection, newest: slot, entry: createEntry() }),
    labels: selection => labels(byKind, { ...selection, maxSamples: 0, newest: slot, entry }),
    get bytes() {
      return bytes();
    },
    get size() {
      return all.size;
    },
    get folded() {
      return folded;
    },
    get windowsMs() {
      return { fine: fineSlots * SLOT_MS, all: allSlots * SLOT_MS };
    },
  };
}

function current(series: Series): Series {
  let found = series;
  while (found.into !== undefined) found = found.into;
  return found;
}

function newer(known: Reporter, other: Reporter | undefined): Reporter | undefined {
  return other !== undefined && other.lastSlot >= known.lastSlot ? other : known;
}

function keyOf(kind: Kind, labels: readonly string[]): string {
  return createHash('sha1')
    .update(`${kind}\0${labels.join('\0')}`)
    .digest('base64');
}

const KEPT: ReadonlySet<string> = new Set(['classification', 'direction', 'grpc_status', 'status_code']);
const isForAll = (series: Series): boolean => series.valueOf('overflow') === 'all';

/** Labels of what a series is folded into: those of its workload and of the outcome first, those of the outcome alone afterwards. */
function restLabels(series: Series): readonly string[] {
  return restOf(series.labels, series.reporter?.workload);
}

function restOf(labels: readonly string[], workload: readonly string[] | undefined): readonly string[] {
  const outcome = pairsOf(labels).filter(([name]) => KEPT.has(name));
  const mark = ['overflow', workload === undefined ? 'all' : 'workload'] as const;
  return [...labelSet([...outcome, ...pairsOf(workload ?? []), mark])].flat();
}

function pairsOf(flat: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index < flat.length; index += 2) pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return pairs;
}

interface OwnSelection extends Selection {
  readonly newest: number;
  readonly entry: ReturnType<typeof createEntry>;
}

/** Yields after every series, so that whoever has time limits or others to think of can. */
function* scan(
  byKind: Readonly<Record<Kind, ReadonlySet<Series>>>,
  selection: OwnSelection,
): Generator<readonly SampledSeries[]> {
  const named = createTest(selection.matchers.filter(({ name }) => name === NAME));
  const { maxSeries = 50_000 } = selection;
  let samples = 0;
  let sampled = 0;
  for (const metric of METRICS.filter(one => named(() => one.name))) {
    const search = createSearch(metric, selection);
    const relabelled: SampledSeries[] = [];
    for (const series of byKind[metric.kind]) {
      const parts = search(series);
      samples += parts.reduce((sum, { timesMs }) => sum + Math.max(1, timesMs.length), 0);
      if (samples > selection.maxSamples)
        throw new QueryError(
          'execution',
          'query processing would load too many samples into memory in query execution',
        );
      sampled += parts.length;
      if (sampled > maxSeries)
        throw new QueryError(
          'execution',
          `the query touches more than ${maxSeries} series, each bucket of a histogram being one: select less, for instance a namespace`,
        );
      if (metric.labels === undefined) yield parts;
      else relabelled.push(...parts);
    }
    if (relabelled.length > 0) yield mergeSeries(relabelled);
  }
}

/** The samples of one metric of a series, where it fits. */
function createSearch(metric: Metric, selection: OwnSelection): (series: Series) => readonly SampledSeries[] {
  const { matchers, startMs, endMs, newest, entry } = selection;
  const fits = createTest(matchers.filter(({ name }) => name !== NAME && name !== 'le'));
  const bounded = createTest(matchers.filter(({ name }) => name === 'le'));
  const parts = metric.parts.filter(({ le }) => bounded(() => le ?? ''));
  const range = { from: Math.ceil(startMs / SLOT_MS), to: Math.floor(endMs / SLOT_MS) };
  return series => {
    const others = metric.labels?.(name => series.valueOf(name));
    if (parts.length === 0 || (metric.labels !== undefined && others === undefined)) return [];
    const valueOf =
      others === undefined
        ? (name: string) => series.valueOf(name)
        : (name: string) => others.find(([known]) => known === name)?.[1] ?? '';
    if (!fits(valueOf)) return [];
    const slots = slotsOf(series, range, newest);
    if (slots.length === 0) return [];
    const values = selection.labelsOnly === true ? [] : valuesAt(series, slots, parts, entry);
    const timesMs = values.length === 0 ? NO_SAMPLES : slots.map(slot => slot * SLOT_MS);
    return parts.map(({ le = '' }, index) => ({
      labels:
        others === undefined
          ? labelsOf(series, metric.name, le)
          : labelSet([...others, [NAME, metric.name], ['le', le]]),
      timesMs,
      values: values[index] ?? NO_SAMPLES,
    }));
  };
}

/** In order without sorting: those of the series are, and there may be thousands of series. */
function labelsOf({ labels }: Series, name: string, le: string): LabelSet {
  const all = new Map([[NAME, name]]);
  let before = le !== '';
  for (let index = 0; index < labels.length; index += 2) {
    const label = labels[index] ?? '';
    if (before && label > 'le') {
      all.set('le', le);
      before = false;
    }
    all.set(label, labels[index + 1] ?? '');
  }
  if (before) all.set('le', le);
  return all;
}

const NO_SAMPLES = new Float64Array(0);

function labels(
  byKind: Readonly<Record<Kind, ReadonlySet<Series>>>,
  selection: OwnSelection,
): ReadonlyMap<string, ReadonlySet<string>> {
  const named = createTest(selection.matchers.filter(({ name }) => name === NAME));
  const found = new Map<string, Set<string>>();
  const put = (name: string, value: string): void => {
    const values = found.get(name);
    if (value === '') return;
    if (values === undefined) found.set(name, new Set([value]));
    else values.add(value);
  };
  for (const metric of METRICS.filter(one => named(() => one.name))) {
    // One part stands for all of a histogram: they differ in the label le alone.
    const search = createSearch({ ...metric, parts: metric.parts.slice(-1) }, { ...selection, labelsOnly: true });
    let any = false;
    for (const series of byKind[metric.kind]) {
      for (const one of search(series)) {
        any = true;
        for (const [name, value] of one.labels) put(name, value);
      }
    }
    if (any) for (const { le } of metric.parts) put('le', le ?? '');
  }
  return found;
}
