// What a run leaves: every reading, so that any figure can be made again from it.
import type { Memory } from './proc.ts';

export interface Reading {
  readonly subject: string;
  readonly round: number;
  /** Of the pair; of the applications for `direct`. */
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Share of the CPU that others took meanwhile. */
  readonly foreign: number;
}

export interface CellResult {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly loop: 'closed' | 'open';
  readonly rounds: number;
  readonly readings: readonly Reading[];
  /** Readings that were not taken into account because others used the CPU. */
  readonly dropped: number;
}

/** One half of a pair, kilobytes. */
export interface HalfMemory {
  readonly idle: Memory;
  /** Before the connections, after all load. */
  readonly before?: Memory;
  readonly idleConnections?: Memory;
  readonly inFlight?: Memory;
  /** 30 s after they were closed. */
  readonly after?: Memory;
}

export interface MemoryResult {
  readonly subject: string;
  readonly client: HalfMemory;
  readonly server: HalfMemory;
  /** Requests of the burst that were answered. */
  readonly answered?: number;
}

export interface Results {
  /** Date of the run, YYYY-MM-DD. */
  readonly taken: string;
  readonly machine: { readonly cpu: string; readonly cpus: number; readonly kernel: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly method: {
    readonly rounds: number;
    readonly seconds: number;
    readonly foreignLimit: number;
    readonly connections: number;
  };
  readonly cells: readonly CellResult[];
  readonly memory: readonly MemoryResult[];
  /** What was not measured, and why. */
  readonly skipped: readonly { readonly what: string; readonly why: string }[];
}
