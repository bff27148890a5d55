// What a run leaves: every reading, so that any figure can be made again from it. Milliseconds, MB.

/** One change written to the API server, until it was with every proxy. */
export interface PushReading {
  readonly step: 'endpoints' | 'weight';
  readonly subject: 'weft' | 'floor';
  readonly proxies: number;
  readonly round: number;
  /** Until the API server had answered. */
  readonly writtenMs: number;
  readonly firstMs: number;
  readonly medianMs: number;
  readonly lastMs: number;
  /** Until the last acknowledgement had come back. */
  readonly ackedMs: number;
  /** CPU of the operator or the floor, until the last receipt. */
  readonly cpuMs: number;
  readonly received: number;
}

export interface Usage {
  readonly at: string;
  readonly proxies: number;
  readonly rssMb: number;
  readonly heapMb: number;
  /** Of one CPU, since the sample before. */
  readonly cpuShare: number;
  readonly seconds: number;
}

export interface Storm {
  readonly proxies: number;
  /** From the kill of the operator to its readiness. */
  readonly readyMs: number;
  readonly firstMs: number;
  readonly medianMs: number;
  /** From the kill until the last proxy was accepted again. */
  readonly lastMs: number;
  readonly served: number;
  readonly operatorCpuMs: number;
}

export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Churn {
  readonly proxies: number;
  readonly seconds: number;
  readonly writes: number;
  /** Distribution over receipts, from the write to the proxy. */
  readonly lag: Distribution;
  readonly messages: number;
  readonly bytes: number;
  readonly strangers: number;
  readonly publications: number;
  /** Of one CPU. */
  readonly cpuShare: number;
}

export interface Certified {
  readonly count: number;
  readonly refused: number;
  readonly atOnce: number;
  readonly perSecond: number;
  readonly took: Distribution;
}

export interface Injection {
  readonly during: 'rest' | 'churn';
  readonly took: Distribution;
}

export interface ScaleResults {
  readonly taken: string;
  readonly machine: { readonly cpu: string; readonly cpus: number; readonly kernel: string; readonly load: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly size: { readonly services: number; readonly pods: number; readonly proxies: readonly number[] };
  readonly pushes: readonly PushReading[];
  readonly usage: readonly Usage[];
  readonly storms: readonly Storm[];
  readonly churn: readonly Churn[];
  readonly certified: readonly Certified[];
  readonly injection: readonly Injection[];
}

export function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
