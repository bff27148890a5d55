import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { objectKey } from '../kernel/index.ts';
import { countHoldings, type Resource } from '../model/index.ts';
import { encodeUpsert } from '../wire/index.ts';
import { MESSAGE_BYTES } from './message-bound.ts';
import { aHub } from './testing/hub.ts';
import { aResource } from './testing/source.ts';

const NAME = 'outbound/10.0.0.1:80';
const policy = objectKey({ group: 'weft.dev', kind: 'TrafficPolicy', namespace: 'demo', name: 'web' });

/** Whose message has exactly so many bytes. */
function ofBytes(bytes: number): Resource {
  const padded = (length: number): Resource => aResource(NAME, 'x'.repeat(length), [policy]);
  const sizeOf = (resource: Resource): number => encodeUpsert(resource, 1n).byteLength;
  const length = bytes - (sizeOf(padded(bytes)) - bytes);
  const resource = padded(length);
  expect(sizeOf(resource)).toBe(bytes);
  return resource;
}

describe('a message at the bound of what proxies take', () => {
  it('has the bound that proxies have', () => {
    const stream = readFileSync(new URL('../../proxy-image/control/src/stream.rs', import.meta.url), 'utf8');
    const [, mebibytes] = /const MESSAGE_BYTES: usize = ([0-9]+) << 20;/.exec(stream) ?? [];
    expect(Number(mebibytes) * 1024 * 1024).toBe(MESSAGE_BYTES);
  });

  it('is sent, and with one byte more it is not: what was in force stays, and the object says why', () => {
    const { set, connect, source, registry, metrics } = aHub();
    const largest = ofBytes(MESSAGE_BYTES);
    set(largest);
    const web = connect('web');
    web.subscribe(NAME);
    web.ack();
    expect(web.bytes.at(-1)?.byteLength).toBe(MESSAGE_BYTES);
    expect(countHoldings(registry.holdings(policy))).toEqual({ total: 1, ready: 1, silent: [] });

    const sent = web.got.length;
    set(ofBytes(MESSAGE_BYTES + 1));
    source.publish();
    expect(web.got.length).toBe(sent);
    expect(web.ended).toEqual([]);
    expect(web.state(NAME)?.ackedVersion).toBe(largest.version);
    expect(web.state(NAME)?.nackReason).toContain(`takes ${MESSAGE_BYTES + 1} bytes`);
    expect(countHoldings(registry.holdings(policy)).ready).toBe(0);
    expect(registry.tooLarge(policy)).toEqual([
      `${NAME} takes ${MESSAGE_BYTES + 1} bytes, and a proxy takes at most ${MESSAGE_BYTES} in one message; what was in force before stays. Shorten spec.rules and spec.faults of the TrafficPolicy, or spec.matches of the HTTPRouteGroups, of this address.`,
    ]);
    expect(metrics.value('weft_config_oversize_total')).toBe(1);

    set(aResource(NAME, 'short', [policy]));
    source.publish();
    expect(web.names().at(-1), 'the whole, for the version between is nowhere').toBe(NAME);
    web.ack(sent);
    expect(countHoldings(registry.holdings(policy))).toEqual({ total: 1, ready: 1, silent: [] });
  });

  it('is not sent on a new stream either, which stays up and carries the rest', () => {
    const { set, connect, metrics } = aHub();
    set(ofBytes(MESSAGE_BYTES + 1), aResource('outbound/10.0.0.2:80', 'small'));
    const web = connect('web', { held: [{ name: NAME, version: 'older' }] });
    web.subscribe('outbound/10.0.0.2:80');
    expect(web.names()).toEqual(['workload', 'trust', 'outbound/10.0.0.2:80']);
    expect(web.ended).toEqual([]);
    expect(metrics.value('weft_config_oversize_total')).toBe(1);
  });
});
