import { describe, expect, it } from 'vitest';
import { contentHash } from '../../src/kernel/index.ts';
import { encodeRemove, encodeUpsert } from '../../src/wire/index.ts';
import { createFrameReader, createMessageReader, DATA, dataFrame, type Frame, requestHeaders } from './http2-frames.ts';
import { glance } from './server-message.ts';

describe('the simulated client', () => {
  it('reads nonce, name and version as src/wire wrote them', () => {
    const body = { kind: 'trust' as const, trust: { domains: [], issuer: '', renewWithinMs: 0 } };
    const resource = { name: 'trust', version: contentHash(body), derivedFrom: [], body };
    const nonce = 123_456_789_012n;
    expect(glance(Buffer.from(encodeUpsert(resource, nonce)))).toEqual({
      nonce,
      name: 'trust',
      version: resource.version,
    });
    expect(glance(Buffer.from(encodeRemove('outbound/10.0.0.1:80', 7n)))).toEqual({
      nonce: 7n,
      name: 'outbound/10.0.0.1:80',
      version: '',
    });
  });

  it('finds the same messages however the bytes are cut', () => {
    const messages = ['', 'a', 'b'.repeat(4_000)];
    const bytes = Buffer.concat(messages.map(text => dataFrame(1, Buffer.from(text))));
    for (const size of [9, 10, 1_000, bytes.byteLength]) {
      const found: string[] = [];
      const data = createMessageReader(message => found.push(message.toString()));
      const read = createFrameReader((frame: Frame) => {
        expect([frame.type, frame.stream]).toEqual([DATA, 1]);
        data(frame.payload);
      });
      for (let at = 0; at < bytes.byteLength; at += size) read(bytes.subarray(at, at + size));
      expect(found).toEqual(messages);
    }
  });

  it('writes long header fields with a length of several bytes', () => {
    const value = 'x'.repeat(1_000);
    const block = requestHeaders(1, [['n', value]]).subarray(9);
    // 1,000 = 127 + 873; 873 = 0b110_1101001
    expect([...block.subarray(0, 6)]).toEqual([0, 1, 'n'.charCodeAt(0), 127, 0b1110_1001, 0b110]);
    expect(block.subarray(6).toString()).toBe(value);
  });
});
