/** Where output goes. Text for people and for programs to `out`, everything about how it went to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether `out` is a screen that shows colours. */
  readonly colour: boolean;
}

export type Tone = 'good' | 'careful' | 'bad' | 'faint' | 'strong';

const CODES: Readonly<Record<Tone, string>> = { good: '32', careful: '33', bad: '31', faint: '2', strong: '1' };

/** Colours `text`, or leaves it alone where nobody would see it. */
export function paint(terminal: Terminal, tone: Tone, text: string): string {
  return terminal.colour ? `\u001B[${CODES[tone]}m${text}\u001B[0m` : text;
}

/** Columns under their headings, two spaces between them, nothing after the last. `right` names those that hold numbers. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)));
  const lines = all.map(row =>
    headings.map((heading, column) => pad(row[column] ?? '', widths[column] ?? 0, right.has(heading))).join('  '),
  );
  return lines.map(line => `${line.trimEnd()}\n`).join('');
}

function pad(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
