import { beforeAll, describe, expect, it } from 'vitest';
import { issueServerCertificate, type KeyedCertificate, makeCa } from '../../identity/index.ts';
import { objectKey } from '../../kernel/index.ts';
import { decideRenewal, hooksToPatch } from './decide.ts';
import type { WebhookTls } from './facts.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-20T10:00:00Z');
const NAMES = ['weft-operator.weft-system.svc', 'weft-operator'];

describe('decideRenewal', () => {
  let ca: KeyedCertificate;
  let otherCa: KeyedCertificate;
  let leaf: KeyedCertificate;
  beforeAll(async () => {
    ca = await makeCa({ commonName: 'ca', nowMs: NOW, validForMs: 3650 * DAY });
    otherCa = await makeCa({ commonName: 'other', nowMs: NOW, validForMs: 3650 * DAY });
    leaf = await issueServerCertificate(ca, { dnsNames: NAMES, nowMs: NOW, validForMs: 90 * DAY });
  });
  const held = (changes: Partial<WebhookTls> = {}): WebhookTls => ({
    caBundlePem: ca.certificatePem,
    caKeyPem: ca.privateKeyPem,
    ...leaf,
    ...changes,
  });
  const decide = (tls: WebhookTls | undefined, nowMs = NOW, dnsNames: readonly string[] = NAMES) =>
    decideRenewal({ tls, dnsNames, nowMs });

  it('leaves a good certificate alone until two thirds of its life are over', () => {
    const decision = decide(held());
    expect(decision.renewal).toBe('none');
    expect(Math.abs(decision.afterMs - 60 * DAY)).toBeLessThan(DAY / 24);
    expect(decision.notAfterMs).toBe(NOW + 90 * DAY);
    expect(decide(held(), NOW + 59 * DAY).renewal).toBe('none');
    expect(decide(held(), NOW + 61 * DAY).renewal).toBe('leaf');
  });

  it.each([
    { name: 'there is none', tls: () => undefined, renewal: 'ca' },
    { name: 'the CA cannot be read', tls: () => held({ caBundlePem: 'nonsense' }), renewal: 'ca' },
    { name: 'the key of the CA is another’s', tls: () => held({ caKeyPem: otherCa.privateKeyPem }), renewal: 'ca' },
    { name: 'the key of the CA is gone', tls: () => held({ caKeyPem: '' }), renewal: 'ca' },
    { name: 'the leaf cannot be read', tls: () => held({ certificatePem: '' }), renewal: 'leaf' },
    {
      name: 'the key of the leaf is another’s',
      tls: () => held({ privateKeyPem: otherCa.privateKeyPem }),
      renewal: 'leaf',
    },
    {
      name: 'the leaf is from a former CA',
      tls: () => held({ caBundlePem: otherCa.certificatePem + ca.certificatePem, caKeyPem: otherCa.privateKeyPem }),
      renewal: 'leaf',
    },
  ])('renews when $name', ({ tls, renewal }) => {
    expect(decide(tls()).renewal).toBe(renewal);
  });

  it('renews the leaf for a name that it lacks, and the CA when that comes to its end', () => {
    expect(decide(held(), NOW, [...NAMES, 'renamed.weft-system.svc'])).toMatchObject({
      renewal: 'leaf',
      reason: 'the name renamed.weft-system.svc is missing',
    });
    expect(decide(held(), NOW + 2500 * DAY).renewal).toBe('ca');
  });
});

describe('hooksToPatch', () => {
  const key = objectKey({
    group: 'admissionregistration.k8s.io',
    kind: 'MutatingWebhookConfiguration',
    namespace: '',
    name: 'weft-webhooks',
  });
  const hook = (name: string, bundle: string) => ({ name, caBundle: Buffer.from(bundle).toString('base64') });

  it('names every hook when one of them lacks the bundle, and nothing when none does', () => {
    expect(hooksToPatch({ key, hooks: [hook('a', 'PEM'), hook('b', 'old')] }, 'PEM')).toEqual(['a', 'b']);
    expect(hooksToPatch({ key, hooks: [hook('a', 'PEM'), hook('b', 'PEM')] }, 'PEM')).toBeUndefined();
  });
});
