import { COLUMNS, type Kind } from './kinds.ts';
import { IncrementLog } from './increment-log.ts';

/** Length of a slot; every report falls into the one of its arrival. */
export const SLOT_MS = 10_000;
/** Slots that are one in the coarse part. */
export const COARSE_SLOTS = 6;

/** A proxy, as one of several that a series may be counted by. */
export interface Reporter {
  /** Labels of the proxy's own workload, as the operator knows them: names and values in turn. */
  readonly own: readonly string[];
  /** The same without what differs from pod to pod. */
  readonly workload: readonly string[];
  /** Of its last report. */
  lastSlot: number;
}

/** One label set of one kind, and what was counted under it. */
export class Series {
  readonly kind: Kind;
  /** Names and values in turn, by name in ascending order. */
  readonly labels: readonly string[];
  readonly key: string;
  /** Undefined: more than one. */
  reporter: Reporter | undefined;
  /** Slot of the first increment. */
  born: number;
  readonly total: Float64Array;
  fine = new IncrementLog();
  coarse: IncrementLog | undefined;
  /** Slot from which on nothing has been made coarse. */
  fineFrom: number;
  /** Slot from which on it is known when anything was counted. */
  keptFrom: number;
  /** Increments, those of ten minutes ago by half, and so on: what is folded first has least. */
  activity = 0;
  /** Where it is counted now, once it was folded. */
  into: Series | undefined;

  constructor(options: {
    kind: Kind;
    labels: readonly string[];
    key: string;
    reporter: Reporter | undefined;
    slot: number;
  }) {
    this.kind = options.kind;
    this.labels = options.labels;
    this.key = options.key;
    this.reporter = options.reporter;
    this.born = options.slot;
    this.fineFrom = 0;
    this.keptFrom = 0;
    this.total = new Float64Array(COLUMNS[options.kind]);
  }

  get logBytes(): number {
    return this.fine.capacity + (this.coarse?.capacity ?? 0);
  }

  /** Nothing was counted in the time that is kept. */
  get isQuiet(): boolean {
    return this.fine.used === 0 && this.coarse === undefined;
  }

  valueOf(name: string): string {
    const { labels } = this;
    for (let index = 0; index < labels.length; index += 2) if (labels[index] === name) return labels[index + 1] ?? '';
    return '';
  }
}

/** What a series takes beside its logs: the objects, the labels, its entry in the store. Measured: 2,030 with twelve labels. */
export const SERIES_BYTES = 2_000;
