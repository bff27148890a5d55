// docs/bounds.md against the proxy's sources, in both directions.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const proxy = join(root, 'proxy-image');

interface Row {
  readonly what: string;
  /** `NAME = value`, or `field: value` of a struct's default. */
  readonly bound: string;
  readonly where: string;
  readonly file: string;
  readonly test: string;
}

const rows: readonly Row[] = readFileSync(join(root, 'docs/bounds.md'), 'utf8')
  .split('\n')
  .filter(line => line.startsWith('| ') && !line.startsWith('| what '))
  .map(line => {
    const [, what = '', bound = '', , where = '', test = ''] = line.split(' | ').flatMap((cell, index, all) => {
      const bare = cell.replace(/^\| /, '').replace(/ \|$/, '').trim();
      return index === 0 ? ['', bare] : index === all.length - 1 ? [bare] : [bare];
    });
    const [, file = '', name = ''] = /^(\S+): `(\w+)`$/.exec(test) ?? [];
    return { what, bound: bound.replaceAll('`', ''), where, file, test: name };
  });

/** Numbers that are no bound on memory. */
const OTHERS: ReadonlySet<string> = new Set([
  'proxy/src/metrics/process.rs PAGE_BYTES',
  // The layout of an HTTP/2 frame.
  'proxy/src/detect/server.rs FRAME',
  // The layout of a preamble.
  'proxy/src/preamble.rs FIXED',
  'proxy/src/preamble.rs MAX',
  // The layout of netlink messages, and a buffer larger than any of the kernel's.
  'init/src/netlink/message.rs HEADER',
  'init/src/netlink/message.rs FAMILY_HEADER',
  'init/src/netlink/attributes.rs HEADER',
  'init/src/netlink/socket.rs DATAGRAM',
  // The length of a random token.
  'init/src/validate.rs TOKEN',
]);

function read(path: string): string {
  return readFileSync(join(proxy, path), 'utf8');
}

/** Sources of the product. */
function sources(): readonly string[] {
  return ['policy', 'control', 'proxy', 'init', 'weft-proxy'].flatMap(crate =>
    readdirSync(join(proxy, crate, 'src'), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.rs') && !/(^|\/)(tests?|gen|fuzzing|conformance)(\/|\.rs)/.test(file))
      .map(file => `${crate}/src/${file}`),
  );
}

describe('docs/bounds.md', () => {
  it('has a table', () => {
    expect(rows.length).toBeGreaterThan(50);
  });

  it.each(rows)('$what: $bound is in $where', ({ bound, where }) => {
    const text = read(where);
    const [, name, value] = /^(\w+) = (.+)$/.exec(bound) ?? [];
    const found =
      name === undefined ? text.includes(` ${bound},`) : text.match(new RegExp(`const ${name}: \\w+ = (.*);`))?.[1];
    expect(found).toBe(value ?? true);
  });

  it.each(rows)('$what is reached by $file: $test', ({ file, test }) => {
    expect(read(file)).toMatch(new RegExp(`#\\[(tokio::)?test[^\\n]*\\]\\s+(async )?fn ${test}\\(`));
  });

  it('names every number that bounds something', () => {
    const listed = new Set(rows.map(({ where, bound }) => `${where} ${bound.split(/ = |: /)[0]}`));
    const found = sources().flatMap(path => [
      ...[
        ...read(path).matchAll(
          /^\s*(?:pub(?:\([a-z]+\))? )?const (\w+(?=: usize)|\w*(?:MAX|BYTES|KEPT|WINDOW)\w*(?=: u\d+)): /gm,
        ),
      ].map(([, name]) => `${path} ${name}`),
      ...[...read(path).matchAll(/struct Limits \{(.*?)^\}/gms)].flatMap(([, body = '']) =>
        [...body.matchAll(/(\w+): usize,/g)].map(([, name]) => `${path} ${name}`),
      ),
    ]);
    expect(found.length).toBeGreaterThan(40);
    expect(found.filter(bound => !listed.has(bound) && !OTHERS.has(bound))).toEqual([]);
  });
});
