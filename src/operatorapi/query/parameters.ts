// Times and durations as Prometheus' API takes them.
import { badData, durationMs } from '../../telemetry/index.ts';

export type Parameters = (name: string) => string | undefined;

/** Times beyond are of no use to anybody, and their arithmetic is not exact. */
const MAX_MS = 8.64e15;

/** Seconds since the epoch, or RFC 3339. */
export function timeOf(parameters: Parameters, name: string, fallbackMs: number): number {
  const text = parameters(name);
  if (text === undefined || text === '') return fallbackMs;
  const ms = /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(text)
    ? Math.round(Number(text) * 1_000)
    : /^\d{4}-\d\d-\d\dT/.test(text)
      ? Date.parse(text)
      : Number.NaN;
  if (!(Math.abs(ms) <= MAX_MS))
    throw badData(`invalid parameter "${name}": cannot parse "${text}" to a valid timestamp`);
  return ms;
}

/** Seconds, or a duration. */
export function durationOf(parameters: Parameters, name: string, fallbackMs: number | undefined): number {
  const text = parameters(name);
  if ((text === undefined || text === '') && fallbackMs !== undefined) return fallbackMs;
  const ms = /^\d+(\.\d+)?([eE][-+]?\d+)?$/.test(text ?? '')
    ? Math.round(Number(text) * 1_000)
    : durationMs(text ?? '');
  if (ms === undefined || !(ms <= MAX_MS))
    throw badData(`invalid parameter "${name}": cannot parse "${text ?? ''}" to a valid duration`);
  return ms;
}
