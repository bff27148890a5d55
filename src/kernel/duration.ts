const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** One or more whole numbers with units, largest first by custom only: `500ms`, `24h`, `1h30m`. The pattern for schemas. */
export const DURATION_PATTERN = '^([0-9]{1,9}(ms|s|m|h|d))+$';

/** Milliseconds; undefined when the text is no duration or is past what a number holds exactly. */
export function parseDurationMs(text: string): number | undefined {
  if (!new RegExp(DURATION_PATTERN).test(text)) return undefined;
  let totalMs = 0;
  for (const [, count = '', unit = ''] of text.matchAll(/([0-9]+)(ms|s|m|h|d)/g))
    totalMs += Number(count) * (UNIT_MS[unit] ?? 0);
  return Number.isSafeInteger(totalMs) ? totalMs : undefined;
}

/** The shortest text of a whole number of milliseconds: 5400000 is `1h30m`. */
export function formatDurationMs(durationMs: number): string {
  let rest = durationMs;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === '' ? '0s' : text;
}
