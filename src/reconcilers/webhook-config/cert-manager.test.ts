import { beforeAll, describe, expect, it } from 'vitest';
import { issueServerCertificate, type KeyedCertificate, makeCa } from '../../identity/index.ts';
import { type ObjectKey, objectKey } from '../../kernel/index.ts';
import { desiredCertificate } from './certificate.ts';
import { bundleCovers, foreignCertificate, widenedBundle } from './decide.ts';
import {
  decodeWebhookSecret,
  type WebhookConfigurationFacts,
  type WebhookSecretFacts,
  type WebhookTls,
} from './facts.ts';
import { createServingSource } from './serving.ts';

const DAY = 86_400_000;
const NOW = Date.now();
const NAMESPACE = 'weft-system';

const configurationKey = (kind: string) =>
  objectKey({ group: 'admissionregistration.k8s.io', kind, namespace: '', name: 'weft-webhooks' });
const trusting = (...bundles: readonly string[]): WebhookConfigurationFacts => ({
  key: configurationKey('MutatingWebhookConfiguration'),
  hooks: bundles.map((bundle, index) => ({ name: `hook-${index}`, caBundle: Buffer.from(bundle).toString('base64') })),
});

/** A store of one object. */
function held<T extends { readonly key: ObjectKey }>() {
  let object: T | undefined;
  return {
    get: (key: ObjectKey) => (object?.key === key ? object : undefined),
    onChange: () => () => {},
    put: (next: T) => void (object = next),
  };
}

describe('a serving certificate from cert-manager', () => {
  let [first, second]: KeyedCertificate[] = [];
  let leaves: KeyedCertificate[] = [];
  beforeAll(async () => {
    const life = { nowMs: NOW, validForMs: 90 * DAY };
    const authorities = await Promise.all(['one', 'two'].map(commonName => makeCa({ ...life, commonName })));
    [first, second] = authorities;
    leaves = await Promise.all(authorities.map(ca => issueServerCertificate(ca, { ...life, dnsNames: ['weft'] })));
  });
  const pem = (ca: KeyedCertificate | undefined): string => ca?.certificatePem ?? '';
  const tls = (index: 0 | 1, changes: Partial<WebhookTls> = {}): WebhookTls => ({
    caBundlePem: pem([first, second][index]),
    caKeyPem: '',
    certificatePem: leaves[index]?.certificatePem ?? '',
    privateKeyPem: leaves[index]?.privateKeyPem ?? '',
    ...changes,
  });

  it('is asked for with all names, from the issuer that is named', () => {
    const issuer = { kind: 'ClusterIssuer', name: 'ours' };
    expect(desiredCertificate({ namespace: NAMESPACE, issuer, dnsNames: ['a', 'b'] })).toMatchObject({
      metadata: { name: 'weft-webhook', namespace: NAMESPACE },
      spec: {
        dnsNames: ['a', 'b'],
        secretName: 'weft-webhook-tls',
        issuerRef: { kind: 'ClusterIssuer', name: 'ours' },
      },
    });
  });

  it.each([
    { name: 'there is none yet', make: () => undefined, trouble: /not issued it yet/ },
    { name: 'nobody could trust it', make: () => tls(0, { caBundlePem: '' }), trouble: /ca\.crt is empty/ },
    {
      name: 'the key is of another',
      make: () => tls(0, { privateKeyPem: leaves[1]?.privateKeyPem ?? '' }),
      trouble: /tls\.key does not belong/,
    },
  ])('is not used when $name', ({ make, trouble }) => {
    expect(foreignCertificate(make())).toEqual({ trouble: expect.stringMatching(trouble) });
  });

  it('widens what is trusted by the new authority, keeps the former, and a bounded number in all', async () => {
    const wide = widenedBundle(pem(second), [trusting(pem(first), pem(first))]);
    expect(bundleCovers(trusting(wide), pem(first) + pem(second))).toBe(true);
    expect(widenedBundle(pem(second), [trusting(wide)])).toBe(wide);
    const life = { nowMs: NOW, validForMs: DAY };
    const many = await Promise.all(['a', 'b', 'c', 'd'].map(commonName => makeCa({ ...life, commonName })));
    const bounded = widenedBundle(pem(second), [trusting(many.map(pem).join(''))]);
    expect(bounded.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
    expect(bundleCovers(trusting(bounded), pem(second))).toBe(true);
  });

  it('is served only once every caller would believe it', () => {
    const secrets = held<WebhookSecretFacts>();
    const mutating = held<WebhookConfigurationFacts>();
    const validating = held<WebhookConfigurationFacts>();
    const source = createServingSource({ secrets, mutating, validating }, NAMESPACE);
    const put = (held: WebhookTls): void => {
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      const decoded = decodeWebhookSecret({
        metadata: { name: 'weft-webhook-tls', namespace: NAMESPACE, uid: 'u', resourceVersion: '1' },
        data: {
          'ca.crt': base64(held.caBundlePem),
          'tls.crt': base64(held.certificatePem),
          'tls.key': base64(held.privateKeyPem),
        },
      });
      if (!decoded.ok) throw new Error('the Secret cannot be read');
      secrets.put(decoded.value);
    };
    const configure = (...bundles: readonly string[]): void => {
      const facts = trusting(...bundles);
      mutating.put(facts);
    };
    configure('', '');
    expect(source.current()).toBeUndefined();
    put(tls(0));
    expect(source.current()?.certificatePem, 'the first is better than none').toBe(leaves[0]?.certificatePem);
    configure(pem(first), pem(first));
    put(tls(1));
    expect(source.current()?.certificatePem).toBe(leaves[0]?.certificatePem);
    configure(pem(first) + pem(second), pem(first));
    expect(source.current()?.certificatePem, 'one hook does not trust it yet').toBe(leaves[0]?.certificatePem);
    configure(pem(first) + pem(second), pem(first) + pem(second));
    expect(source.current()?.certificatePem).toBe(leaves[1]?.certificatePem);
  });
});
