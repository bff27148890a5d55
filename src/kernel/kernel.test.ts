import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AppError,
  canonicalIp,
  canonicalJson,
  cidrCovers,
  cidrHasIp,
  contentHash,
  dnsIdentity,
  formatAddress,
  formatCidr,
  formatDurationMs,
  nameOf,
  objectKey,
  parseAddress,
  parseCidr,
  parseDurationMs,
  parseIp,
  parseObjectKey,
  parsePortList,
  parseQuantity,
  portListHas,
  re2Fault,
  setting,
  spiffeId,
  toRegExp,
  wholeNumbers,
} from './index.ts';

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test needs a value here');
  return value;
}

describe('canonical JSON', () => {
  it('does not depend on the order of keys', () => {
    expect(canonicalJson({ b: 1, a: { d: [2, { y: 1, x: 0 }], c: undefined } })).toBe(
      '{"a":{"d":[2,{"x":0,"y":1}]},"b":1}',
    );
  });

  it('tells apart what is different, and hashes to 16 hex digits', () => {
    expect(contentHash({ a: [1, 2] })).not.toBe(contentHash({ a: [2, 1] }));
    expect(contentHash({ a: 1 })).toMatch(/^[0-9a-f]{16}$/);
  });

  it('tells byte arrays apart by their content', () => {
    expect(contentHash(new Uint8Array([1]))).not.toBe(contentHash(new Uint8Array([2])));
  });

  it('reads back as what was written', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('addresses', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['FD00:0:0::1', 'fd00::1'],
    ['::', '::'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['10.0.0', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
  ])('%s is %s', (text, want) => expect(canonicalIp(text)).toBe(want));

  it('come back from their text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (text, port) => {
        const ip = canonicalIp(text) ?? '';
        expect(parseAddress(formatAddress(ip, port))).toEqual({ ip, port });
        expect(canonicalIp(ip)).toBe(ip);
        expect(parseIp(ip)).toEqual(parseIp(text));
      }),
    );
  });

  it.each(['10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', 'fd00::1:80:x', '[10.0.0.1', ':80'])('%s is no address', text =>
    expect(parseAddress(text)).toBeUndefined(),
  );
});

describe('address ranges', () => {
  const range = (text: string) => must(parseCidr(text));
  const ip = (text: string) => must(parseIp(text));

  it.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['fd00::1/8', 'fd00::/8'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ])('%s is %s', (text, want) => expect(formatCidr(range(text))).toBe(want));

  it.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', 'x/8', 'fd00::/129', '10.0.0.0/'])('%s is none', text =>
    expect(parseCidr(text)).toBeUndefined(),
  );

  it('hold addresses of their own family', () => {
    expect(cidrHasIp(range('10.0.0.0/8'), ip('10.255.0.1'))).toBe(true);
    expect(cidrHasIp(range('10.0.0.0/8'), ip('11.0.0.0'))).toBe(false);
    expect(cidrHasIp(range('::/0'), ip('10.0.0.1'))).toBe(false);
    expect(cidrHasIp(range('0.0.0.0/0'), ip('10.0.0.1'))).toBe(true);
  });

  it('cover narrower ranges', () => {
    expect(cidrCovers(range('10.0.0.0/8'), range('10.1.0.0/16'))).toBe(true);
    expect(cidrCovers(range('10.1.0.0/16'), range('10.0.0.0/8'))).toBe(false);
    expect(cidrCovers(range('10.0.0.0/8'), range('10.0.0.0/8'))).toBe(true);
  });
});

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['24h', 86_400_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
  ])('%s is %d ms', (text, want) => expect(parseDurationMs(text)).toBe(want));
  it.each(['', '1', '1.5s', '-1s', '1 s', '10x'])('%s is none', text => expect(parseDurationMs(text)).toBeUndefined());
  it('come back from their text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e12 }), ms => {
        expect(parseDurationMs(formatDurationMs(ms))).toBe(ms);
      }),
    );
  });
});

describe('quantities', () => {
  it.each([
    [
      ['1', '500m'],
      [2, 1],
    ],
    [
      ['10m', '100m', '1500m'],
      [1, 10, 150],
    ],
    [
      ['0', '100'],
      [0, 100],
    ],
    [
      ['1.5', '1'],
      [3, 2],
    ],
    [
      ['1e3', '1k', '1Ki'],
      [1000, 1000, 1024],
    ],
    [
      ['1e-1', '0'],
      [1, 0],
    ],
  ])('%j are in the proportion of %j', (texts, want) => {
    const quantities = texts.map(text => must(parseQuantity(text)));
    expect(wholeNumbers(quantities).map(Number)).toEqual(want);
  });

  it('are exact where floating point is not', () => {
    expect(parseQuantity('0.1')).toEqual({ numerator: 1n, denominator: 10n });
  });

  it.each(['-1', '', 'x', '1e999', '1.2.3', '1KB', ' 1'])('%s is none', text =>
    expect(parseQuantity(text)).toBeUndefined(),
  );
});

describe('lists of ports', () => {
  it('hold ports and ranges', () => {
    const list = parsePortList(' 25, 5000-5010,');
    expect(list).toEqual({
      ok: true,
      value: [
        { from: 25, to: 25 },
        { from: 5000, to: 5010 },
      ],
    });
    expect(list.ok && portListHas(list.value, 5010)).toBe(true);
    expect(list.ok && portListHas(list.value, 5011)).toBe(false);
  });
  it.each(['x', '0', '65536', '10-5', '1-2-3'])('%s is none', text => expect(parsePortList(text).ok).toBe(false));
});

describe('RE2', () => {
  it.each(['/v[0-9]+', '(?i)firefox', '(?P<name>x)', '.*', 'a{2,1000}', '[({]', String.raw`\d\.\w`])(
    '%s is an expression',
    text => expect(re2Fault(text)).toBeUndefined(),
  );
  it.each(['(?=x)', '(?<!x)', String.raw`(a)\1`, '(', 'a{1001}', '*', String.raw`\h`])('%s is none', text =>
    expect(re2Fault(text)).toEqual(expect.any(String)),
  );
  it('keeps alternatives within the anchors', () => {
    expect(toRegExp('a|b', 'both').test('xb')).toBe(false);
    expect(toRegExp('(?i)A|b', 'start').test('ax')).toBe(true);
  });
});

describe('names', () => {
  it('make keys that can be taken apart', () => {
    const name = { group: 'policy.linkerd.io', kind: 'Server', namespace: 'demo', name: 'http' };
    expect(nameOf(objectKey(name))).toEqual(name);
    expect(parseObjectKey('/Pod/demo/a')).toEqual({
      ok: true,
      value: { group: '', kind: 'Pod', namespace: 'demo', name: 'a' },
    });
    expect(parseObjectKey('Pod/demo/a').ok).toBe(false);
    expect(parseObjectKey('a/b/c/d/e').ok).toBe(false);
  });

  it('give identities in both forms', () => {
    const account = { namespace: 'demo', serviceAccount: 'web' };
    expect(spiffeId('td', account)).toBe('spiffe://td/ns/demo/sa/web');
    expect(dnsIdentity('td', 'weft-system', account)).toBe('web.demo.serviceaccount.identity.weft-system.td');
  });

  it('prefer our own spelling of a setting', () => {
    expect(setting({ 'weft.dev/opaque-ports': '1', 'config.linkerd.io/opaque-ports': '2' }, 'opaque-ports')).toBe('1');
    expect(setting({ 'config.linkerd.io/opaque-ports': '2' }, 'opaque-ports')).toBe('2');
  });
});

describe('AppError', () => {
  it('keeps what it knows of a failure', () => {
    const error = new AppError('not-found', 'gone');
    expect(AppError.from(error)).toBe(error);
    expect(AppError.from(new TypeError('x'))).toMatchObject({ code: 'internal', message: 'x' });
    expect(AppError.from(AbortSignal.abort().reason)).toMatchObject({ code: 'cancelled' });
    expect(AppError.from('text', 'unavailable')).toMatchObject({ code: 'unavailable', message: 'text' });
  });
});
