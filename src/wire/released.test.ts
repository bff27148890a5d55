import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClientMessage, decodeClientMessage } from './index.ts';

// What proxies of earlier versions send, byte for byte; conformance/wire holds a file for each version that is still served. The proxy's half of it
// is read by proxy-image/control/src/tests/released.rs.
const recorded = readFileSync(join(import.meta.dirname, '../../conformance/wire/0.1.0.txt'), 'utf8')
  .trim()
  .split('\n')
  .map(line => line.split(' '))
  .filter(([side]) => side === 'client');

const meanings: Readonly<Record<string, ClientMessage>> = {
  hello: {
    kind: 'hello',
    proxyVersion: '0.1.0',
    protocol: 1,
    held: [
      { name: 'workload', version: 'w1' },
      { name: 'outbound/10.0.0.1:80', version: 'o1' },
    ],
  },
  subscribe: { kind: 'subscribe', names: ['outbound/10.0.0.2:80'] },
  unsubscribe: { kind: 'unsubscribe', names: ['outbound/10.0.0.1:80'] },
  ack: { kind: 'ack', nonce: 7n },
  nack: { kind: 'nack', nonce: 8n, resource: 'workload', reason: 'base' },
};

/** Field 1000, a number: nobody has it yet. */
const LATER = [0xc0, 0x3e, 0x01];

/** The message within the message gets a field more: its length, below 128 here, is the second byte. */
function withLaterField(bytes: Buffer): Buffer {
  const [tag = 0, length = 0, ...inner] = bytes;
  return Buffer.from([tag, length + LATER.length, ...inner, ...LATER, ...LATER]);
}

describe('messages of a proxy of 0.1.0', () => {
  it.each(recorded)('%s %s means what it meant', (_, kind = '', hex = '') => {
    expect(decodeClientMessage(Buffer.from(hex, 'hex'))).toEqual({ ok: true, value: meanings[kind] });
  });

  it.each(recorded)('%s %s means the same with fields that a later version may add', (_, kind = '', hex = '') => {
    const later = withLaterField(Buffer.from(hex, 'hex'));
    expect(decodeClientMessage(later)).toEqual({ ok: true, value: meanings[kind] });
  });

  it('are not all that there is: a kind that is not known is told as such', () => {
    expect(decodeClientMessage(Buffer.from([0xf2, 0x07, 0x00])).ok).toBe(false);
  });
});
