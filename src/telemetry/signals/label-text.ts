// Label sets as proxies write them, and what is kept of them.
import { err, ok, type Result } from '../../kernel/index.ts';

const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)/gy;
/** As in the proxy. */
const MAX_VALUE = 256;
const MAX_LABELS = 64;

/**
 * What tells a series apart. Whom it was, and which pod and zone it went to, is not kept: there would be as many series as there are pairs of pods.
 * What the proxy's own workload is, the operator knows better.
 */
const KEPT = /^(direction|tls|client_id|server_id|peer|overflow|srv_\w+|route_\w+|dst_\w+)$/;
const LEFT_OUT: ReadonlySet<string> = new Set(['dst_pod', 'dst_zone']);

/** Pairs of name and value, those that are kept. */
export function readLabels(text: string): Result<readonly (readonly [string, string])[], string> {
  const pairs: (readonly [string, string])[] = [];
  const names = new Set<string>();
  LABEL.lastIndex = 0;
  let position = 0;
  while (position < text.length) {
    const found = LABEL.exec(text);
    if (found === null) return err(`labels cannot be read from position ${position}`);
    const [whole, name = '', value = ''] = found;
    position += whole.length;
    if (names.has(name)) return err(`label ${name} is given twice`);
    if (names.size >= MAX_LABELS) return err(`more than ${MAX_LABELS} labels`);
    names.add(name);
    if (KEPT.test(name) && !LEFT_OUT.has(name) && name.length <= MAX_VALUE)
      pairs.push([name, value.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)).slice(0, MAX_VALUE)]);
  }
  return ok(pairs);
}
