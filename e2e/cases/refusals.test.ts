import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apply, kubectl, podAddresses, serverApp, sumOf, waitRollout, weftMetrics } from '../harness/index.ts';
import {
  attempt,
  type AttemptSpec,
  foreignRoot,
  forgeLeaf,
  type Leaf,
  meshIssuer,
  preamble,
} from '../harness/forge.ts';

// Each refusal stands beside its accepted twin: the same attempt with the one thing that is wrong put right.
const namespace = `refusals-${Math.random().toString(36).slice(2, 6)}`;
const request = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';
const alpn = ['weft/1'];
const spiffeId = `spiffe://cluster.local/ns/${namespace}/sa/tester`;
let pod = { ip: '', uid: '' };
let good: Leaf;
let expired: Leaf;
let foreign: Leaf;

beforeAll(async () => {
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
    },
    ...serverApp({ namespace, name: 'web' }),
  );
  await waitRollout(namespace, 'web');
  const [found] = await podAddresses(namespace, 'app=web');
  if (found === undefined) throw new Error('no pod runs');
  pod = found;
  const issuer = await meshIssuer();
  const hour = 3_600_000;
  good = await forgeLeaf(issuer, { spiffeId, nowMs: Date.now(), validForMs: hour });
  expired = await forgeLeaf(issuer, { spiffeId, nowMs: Date.now() - 2 * hour, validForMs: hour });
  foreign = await forgeLeaf(await foreignRoot(), { spiffeId, nowMs: Date.now(), validForMs: hour });
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
});

const right = (): AttemptSpec => ({
  host: pod.ip,
  port: 4143,
  tls: { ...good, alpn },
  preambleHex: preamble({ protocol: 'http1', podUid: pod.uid, port: 8080 }),
  payload: request,
});

const cases: readonly {
  name: string;
  reason: string;
  wrong: () => Partial<AttemptSpec>;
  twin?: () => Partial<AttemptSpec>;
}[] = [
  { name: 'a certificate of another root', reason: 'untrusted_root', wrong: () => ({ tls: { ...foreign, alpn } }) },
  { name: 'an expired leaf', reason: 'expired', wrong: () => ({ tls: { ...expired, alpn } }) },
  { name: 'our ALPN and no certificate', reason: 'no_certificate', wrong: () => ({ tls: { alpn } }) },
  {
    name: 'a preamble that names another pod',
    reason: 'wrong_pod',
    wrong: () => ({
      preambleHex: preamble({ protocol: 'http1', podUid: '00000000-0000-4000-8000-000000000000', port: 8080 }),
    }),
  },
  {
    name: 'a preamble that names a port outside the inbound set',
    reason: 'wrong_port',
    wrong: () => ({ preambleHex: preamble({ protocol: 'http1', podUid: pod.uid, port: 2222 }) }),
  },
  {
    name: 'a preamble that names a port of the proxy itself',
    reason: 'proxy_port',
    wrong: () => ({ preambleHex: preamble({ protocol: 'http1', podUid: pod.uid, port: 4191 }) }),
  },
  { name: 'another ALPN on 4143', reason: 'wrong_alpn', wrong: () => ({ tls: { ...good, alpn: ['h2'] } }) },
  {
    name: 'a preamble that is none',
    reason: 'bad_preamble',
    wrong: () => ({ preambleHex: Buffer.from('NOPE0000').toString('hex') }),
  },
];

const refusals = async (reason: string): Promise<number> =>
  sumOf(await weftMetrics(pod.ip), 'inbound_refused_total', { reason });

describe('a connection straight to 4143', () => {
  it.each(cases)('with $name is refused and counted as $reason; its twin is served', async ({ reason, wrong }) => {
    const before = await refusals(reason);
    const refused = await attempt({ ...right(), ...wrong() });
    expect(refused.received).not.toContain('HTTP/1.1 200');
    expect(await refusals(reason)).toBe(before + 1);
    const twin = await attempt(right());
    expect(twin.received, JSON.stringify(twin)).toContain('HTTP/1.1 200');
    expect(await refusals(reason)).toBe(before + 1);
  });

  it('in plaintext is refused and counted; plaintext to the application port is served', async () => {
    const before = await refusals('plaintext_direct');
    const refused = await attempt({ host: pod.ip, port: 4143, payload: request });
    expect(refused.received).not.toContain('HTTP/1.1 200');
    expect(await refusals('plaintext_direct')).toBe(before + 1);
    const twin = await attempt({ host: pod.ip, port: 8080, payload: request });
    expect(twin.received, JSON.stringify(twin)).toContain('HTTP/1.1 200');
  });
});
