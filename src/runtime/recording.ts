// Ports that remember, for tests: what was logged and what was counted, readable as plain values.
import type { Labels, LogFields, Logger, MetricOptions, Metrics } from './ports.ts';

export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordingLogger extends Logger {
  readonly lines: RecordedLine[];
}

export function recordingLogger(bound: LogFields = {}, lines: RecordedLine[] = []): RecordingLogger {
  const at =
    (level: RecordedLine['level']) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields: { ...bound, ...fields } });
    };
  return {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: fields => recordingLogger({ ...bound, ...fields }, lines),
  };
}

export interface RecordingMetrics extends Metrics {
  /** Value of a counter or gauge, number of observations of a histogram; 0 when never touched. */
  value(name: string, labels?: Labels): number;
}

function seriesKey(name: string, labels: Labels = {}): string {
  const pairs = Object.keys(labels)
    .toSorted()
    .map(label => `${label}=${labels[label] ?? ''}`);
  return `${name}{${pairs.join(',')}}`;
}

export function recordingMetrics(): RecordingMetrics {
  const values = new Map<string, number>();
  const add = (name: string, labels: Labels | undefined, by: number): void => {
    const key = seriesKey(name, labels);
    values.set(key, (values.get(key) ?? 0) + by);
  };
  const metric = ({ name }: MetricOptions) => ({
    inc: (labels?: Labels, by = 1) => add(name, labels, by),
    dec: (labels?: Labels, by = 1) => add(name, labels, -by),
    set: (value: number, labels?: Labels) => void values.set(seriesKey(name, labels), value),
    observe: (_value: number, labels?: Labels) => add(name, labels, 1),
  });
  return {
    counter: metric,
    gauge: metric,
    histogram: metric,
    value: (name, labels) => values.get(seriesKey(name, labels)) ?? 0,
  };
}
