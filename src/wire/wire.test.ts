import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { podKey } from '../kernel/index.ts';
import type { Resource } from '../model/index.ts';
import {
  createUpdateEncoder,
  decodeCertifyRequest,
  decodeClientMessage,
  decodeFollowerMessage,
  decodeServerMessage,
  decodeTellerMessage,
  encodeClientMessage,
  encodeEndpointsDelta,
  encodeFollowerHello,
  encodeRemove,
  encodeTellerHello,
  encodeUpsert,
  endpointsDelta,
} from './index.ts';
import * as any from './testing/generators.ts';

describe('a resource on the wire', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(any.body, any.nonce, (body, nonce) => {
        const resource: Resource = { name: 'n', version: 'v', derivedFrom: [], body };
        expect(decodeServerMessage(encodeUpsert(resource, nonce))).toEqual({
          ok: true,
          value: { kind: 'upsert', nonce, name: 'n', version: 'v', body },
        });
      }),
    );
  });

  it('that is gone comes back as gone', () => {
    expect(decodeServerMessage(encodeRemove('outbound/10.0.0.1:80', 7n))).toEqual({
      ok: true,
      value: { kind: 'remove', nonce: 7n, name: 'outbound/10.0.0.1:80' },
    });
  });
});

describe('a change of endpoints on the wire', () => {
  it('turns the old set into the new one', () => {
    fc.assert(
      fc.property(any.endpoints, any.endpoints, (before, after) => {
        const delta = endpointsDelta('v1', before, after);
        const decoded = decodeServerMessage(encodeEndpointsDelta({ name: 'n', version: 'v2', nonce: 1n }, delta));
        expect(decoded).toEqual({ ok: true, value: { kind: 'delta', nonce: 1n, name: 'n', version: 'v2', delta } });
        const key = (endpoint: { address: string; port: number }) =>
          endpoint.address.includes(':')
            ? `[${endpoint.address}]:${endpoint.port}`
            : `${endpoint.address}:${endpoint.port}`;
        const kept = before.endpoints.filter(endpoint => !delta.removed.includes(key(endpoint)));
        const merged = new Map([...kept, ...delta.upserted].map(endpoint => [key(endpoint), endpoint]));
        expect(merged).toEqual(new Map(after.endpoints.map(endpoint => [key(endpoint), endpoint])));
      }),
    );
  });

  it('says nothing when nothing has changed', () => {
    fc.assert(
      fc.property(any.endpoints, endpoints => {
        expect(endpointsDelta('v', endpoints, structuredClone(endpoints))).toEqual({
          baseVersion: 'v',
          upserted: [],
          removed: [],
        });
      }),
    );
  });
});

describe('what a proxy says', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(any.clientMessage, message => {
        expect(decodeClientMessage(encodeClientMessage(message))).toEqual({ ok: true, value: message });
      }),
    );
  });

  it('is answered with what cannot be understood, whatever the bytes are', () => {
    expect(decodeClientMessage(new Uint8Array())).toMatchObject({ ok: false });
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        for (const decode of [decodeClientMessage, decodeServerMessage, decodeCertifyRequest])
          expect(typeof decode(bytes).ok).toBe('boolean');
      }),
    );
  });
});

describe('what replicas tell each other, on the wire', () => {
  const hello = { replica: 'weft-operator-a', version: '0.1.0', protocol: 1 };

  it('comes back as it was told, each text once', () => {
    fc.assert(
      fc.property(fc.array(any.peerProxy, { maxLength: 4 }), fc.boolean(), (proxies, complete) => {
        const encoder = createUpdateEncoder();
        for (const proxy of proxies) encoder.add(proxy);
        const gone = podKey('demo', 'gone');
        encoder.gone(gone);
        expect(decodeTellerMessage(encoder.finish(complete))).toEqual({
          ok: true,
          value: { kind: 'update', proxies, gone: [gone], complete },
        });
      }),
    );
  });

  it('begins with who speaks, on both sides', () => {
    expect(decodeTellerMessage(encodeTellerHello(hello))).toEqual({ ok: true, value: { kind: 'hello', ...hello } });
    expect(decodeFollowerMessage(encodeFollowerHello(hello))).toEqual({ ok: true, value: hello });
  });

  it('is left out where it is newer than the reader, and refused where it is broken', () => {
    // Field 9 of a oneof that knows fields 1 and 2, holding nothing.
    const newer = Uint8Array.of(0x4a, 0x00);
    expect(decodeTellerMessage(newer)).toEqual({ ok: true, value: { kind: 'unknown' } });
    expect(decodeFollowerMessage(newer)).toEqual({ ok: true, value: undefined });
    expect(decodeTellerMessage(Uint8Array.of(0x12, 0x05, 0x01)).ok).toBe(false);
    // An update with one proxy whose zone is text 7 of none.
    const dangling = Uint8Array.of(0x12, 0x04, 0x12, 0x02, 0x20, 0x07);
    expect(decodeTellerMessage(dangling).ok).toBe(false);
  });
});
