// Readers of untyped JSON. They never throw: what has the wrong type reads as absent, because the API server has judged core kinds already and one
// odd object must not stop a watch.

export type Json = Readonly<Record<string, unknown>>;

export function record(value: unknown): Json {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function records(value: unknown): readonly Json[] {
  return list(value).map(record);
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function texts(value: unknown): readonly string[] {
  return list(value).filter(item => typeof item === 'string');
}

export function whole(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

export function textMap(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(record(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}

/** One of the words, or the fallback. */
export function word<T extends string>(value: unknown, words: readonly T[], fallback: T): T {
  return words.find(candidate => candidate === value) ?? fallback;
}

/** TCP is what an absent protocol means everywhere in the core API. */
export function isTcp(port: Json): boolean {
  return port['protocol'] === undefined || port['protocol'] === null || port['protocol'] === 'TCP';
}

/** RFC 3339 in UTC; a Date (as some clients hand out) is turned into text. */
export function timestamp(value: unknown): string {
  if (value instanceof Date) return value.toISOString().replace(/\.\d{3}Z$/, 'Z');
  return text(value);
}
