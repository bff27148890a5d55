// Numbers, durations and texts as PromQL writes them.
import { badData } from './query-error.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `1h30m`, `5m`, `500ms`; undefined for anything else. Nothing is said of the order of units. */
export function durationMs(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count = '', unit = ''] of text.matchAll(/(\d+)(ms|[smhdwy])/g))
    totalMs += Number(count) * (UNIT_MS[unit] ?? 0);
  return totalMs;
}

/** A duration as a number means seconds. */
export function numberOf(text: string): number {
  const lower = text.toLowerCase();
  if (lower.startsWith('-') || lower.startsWith('+'))
    return (lower.startsWith('-') ? -1 : 1) * numberOf(lower.slice(1));
  if (lower === 'inf') return Number.POSITIVE_INFINITY;
  if (lower === 'nan') return Number.NaN;
  const duration = durationMs(text);
  if (duration !== undefined) return duration / 1_000;
  const value = Number(lower.replaceAll('_', ''));
  if (Number.isNaN(value)) throw badData(`"${text}" is no number`);
  return value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** The content of a quoted text, with Go's escapes; backquoted texts have none. */
export function textOf(quoted: string): string {
  const quote = quoted[0];
  if (quoted.length < 2 || quoted.at(-1) !== quote) throw badData(`the text ${quoted} has no end`);
  const body = quoted.slice(1, -1);
  if (quote === '`') return body;
  return body.replaceAll(
    /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gs,
    (whole, escape: string) => {
      if (escape.length === 1) {
        const known = ESCAPES[escape];
        if (known === undefined) throw badData(`${whole} is no escape in a text`);
        return known;
      }
      const code = /^[xuU]/.test(escape) ? Number.parseInt(escape.slice(1), 16) : Number.parseInt(escape, 8);
      if (code > 0x10ffff) throw badData(`${whole} is no character`);
      return String.fromCodePoint(code);
    },
  );
}
