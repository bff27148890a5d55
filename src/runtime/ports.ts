// Ports that the platform gives to everything above: time, logs, metrics. No Kubernetes type appears here.

/** Wall-clock time. Injected so that nothing but the composition root reads the real clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}

/** Structured fields of one log line; keys are camelCase and come from a small shared vocabulary (docs: logs). */
export type LogFields = Readonly<Record<string, unknown>>;

/** Messages are constants; whatever varies goes into fields. `err` takes an Error and is serialised with its cause. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose every line carries these fields too. */
  child(fields: LogFields): Logger;
}

/** Label values by label name. Values come from closed sets: never a pod, a path or a user. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  /** Adds `by` (default 1, never negative). */
  inc(labels?: Labels, by?: number): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
  inc(labels?: Labels, by?: number): void;
  dec(labels?: Labels, by?: number): void;
}

export interface Histogram {
  /** Base units: seconds, bytes or ratios. */
  observe(value: number, labels?: Labels): void;
}

export interface MetricOptions {
  /** `weft_<area>_<thing>_<unit>[_total]`. */
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Label sets that must exist with value 0 from the start, so that a rate over them is defined. */
  readonly zero?: readonly Labels[];
}

export interface HistogramOptions extends MetricOptions {
  /** Upper bounds in ascending order, in the unit of the name. */
  readonly buckets: readonly number[];
}

/** Registers metrics. Asking twice for the same name returns the same metric. */
export interface Metrics {
  counter(options: MetricOptions): Counter;
  gauge(options: MetricOptions): Gauge;
  histogram(options: HistogramOptions): Histogram;
}

/** Takes back a registration; calling it again does nothing. */
export type Unsubscribe = () => void;
