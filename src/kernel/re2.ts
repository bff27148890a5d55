/** Why a text is no RE2 expression that the proxy would take; undefined when it is one. */
export function re2Fault(pattern: string): string | undefined {
  if (/\(\?<?[=!]/.test(unescaped(pattern))) return 'look-around is not part of RE2';
  if (/\\[1-9]|\\k</.test(pattern.replaceAll('\\\\', ''))) return 'back-references are not part of RE2';
  const bound = [...unescaped(pattern).matchAll(/\{(\d+)(?:,(\d*))?\}/g)].find(
    ([, low, high]) => Number(low) > 1000 || Number(high ?? 0) > 1000,
  );
  if (bound !== undefined) return `the repetition ${bound[0]} is above 1000`;
  const strange = /\\([^\p{ASCII}]|[ceghijklmoquyCEGHIJKLMNOQRTUVXYZ])/u.exec(pattern.replaceAll('\\\\', ''));
  if (strange !== null) return `${strange[0]} is not an escape of RE2`;
  try {
    void toRegExp(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : 'it cannot be read';
  }
}

/** The same expression for JavaScript; throws on what {@link re2Fault} refuses. `anchor` says which ends must be those of the text. */
export function toRegExp(pattern: string, anchor: 'none' | 'start' | 'both' = 'none'): RegExp {
  const flags = /^\(\?([imsU]+)\)/.exec(pattern);
  const body = pattern
    .slice(flags?.[0].length ?? 0)
    .replaceAll('(?P<', '(?<')
    .replaceAll('\\A', '^')
    .replaceAll('\\z', '$');
  const anchored = { none: body, start: `^(?:${body})`, both: `^(?:${body})$` }[anchor];
  return new RegExp(anchored, (flags?.[1] ?? '').replace('U', ''));
}

/** Without escaped characters and character classes, in which parentheses and braces mean themselves. */
function unescaped(pattern: string): string {
  return pattern.replaceAll(/\\./gs, '').replaceAll(/\[\^?\]?[^\]]*\]/g, '');
}
