import { describe, expect, it } from 'vitest';
import { meshConfig, validateSpec } from '../../api/index.ts';
import { meshConfigKey, objectKey } from '../../kernel/index.ts';
import { decide } from './decide.ts';
import type { IssuerSecretFacts, MeshConfigFacts } from './facts.ts';
import type { HeldGeneration, MeshInput } from './gather.ts';

const NOW = Date.parse('2026-11-20T10:00:00Z');
const DAY = 86_400_000;

const aSecret = (name: string, changes: Partial<IssuerSecretFacts> = {}): IssuerSecretFacts => ({
  key: objectKey({ group: '', kind: 'Secret', namespace: 'weft-system', name }),
  name,
  uid: `uid-${name}`,
  mesh: 'default',
  role: 'generation',
  createdMs: NOW - DAY,
  replacedAtMs: undefined,
  renewal: '',
  certificatePem: `leaf of ${name}`,
  privateKeyPem: 'key',
  caPem: 'root',
  ...changes,
});

const aGeneration = (name: string, changes: Partial<HeldGeneration> = {}): HeldGeneration => ({
  name,
  secret: aSecret(name),
  anchorsId: 'root',
  createdMs: NOW - DAY,
  usable: true,
  replacedAtMs: undefined,
  notBeforeMs: NOW - DAY,
  notAfterMs: NOW + 89 * DAY,
  trouble: '',
  ...changes,
});

const noAnchor = { certificate: undefined, issuer: undefined, fingerprint: '', trouble: '' };

function anObject(activeIssuer: string, annotations: Readonly<Record<string, string>> = {}): MeshConfigFacts {
  const meta = {
    name: 'default',
    namespace: '',
    uid: 'u',
    generation: 1,
    creationTimestamp: '',
    labels: {},
    annotations,
    resourceVersion: '1',
  };
  const identity = { activeIssuer, nextIssuer: '', notAfter: '', phase: '', waitingFor: [], waiting: 0 };
  return {
    key: meshConfigKey('default'),
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'MeshConfig',
    meta,
    spec: {},
    conditions: [],
    identity,
  };
}

function decideFor(
  mode: 'CertManager' | 'SelfManaged',
  changes: Partial<MeshInput> = {},
  active = 'a',
  identity: Readonly<Record<string, unknown>> = {},
) {
  const spec = validateSpec(meshConfig, { identity: { mode, ...identity } });
  if (!spec.ok) throw new Error('the spec does not pass its schema');
  return decide({
    mesh: 'default',
    object: anObject(active),
    spec: spec.value,
    controlNamespace: 'weft-system',
    certManager: 'present',
    certificate: undefined,
    source: { kind: 'absent' },
    generations: [],
    root: undefined,
    anchor: noAnchor,
    rootName: 'weft-root-default',
    roots: [],
    renewIssuer: '',
    renewAnchor: '',
    proxies: [{ name: 'demo/web', trustsNewest: false, leaf: 'a' }],
    leafLifeMs: DAY,
    nowMs: NOW,
    ...changes,
  });
}

const goodSource = (generationName: string) =>
  ({ kind: 'good', generationName, secret: aSecret('weft-issuer-default', { role: 'source' }) }) as const;

describe('a mesh under cert-manager', () => {
  it('asks for a Certificate that may sign, below the issuer that is named', () => {
    const { certificate, selfIssue, conditions } = decideFor('CertManager');
    expect(certificate).toMatchObject({
      metadata: {
        name: 'weft-issuer-default',
        namespace: 'weft-system',
        ownerReferences: [{ kind: 'MeshConfig', name: 'default' }],
      },
      spec: { isCA: true, issuerRef: { name: 'weft-trust-anchor', kind: 'ClusterIssuer', group: 'cert-manager.io' } },
    });
    expect(selfIssue).toBeUndefined();
    expect(conditions[0]).toMatchObject({ status: 'False', reason: 'IssuerPending' });
  });

  it('copies a good Secret once', () => {
    expect(decideFor('CertManager', { source: goodSource('b') }).copy?.name).toBe('b');
    expect(decideFor('CertManager', { source: goodSource('b'), generations: [aGeneration('b')] }).copy).toBeUndefined();
  });

  it.each([
    { name: 'nothing is wrong', changes: { source: goodSource('a') }, want: { status: 'True', reason: 'Issued' } },
    {
      name: 'the Secret is bad',
      changes: { source: { kind: 'refused', why: 'no key' } as const },
      want: { status: 'True', reason: 'RenewalFailing' },
    },
    {
      name: 'cert-manager has gone',
      changes: { certManager: 'absent' as const },
      want: { status: 'True', reason: 'RenewalFailing' },
    },
    {
      name: 'another root waits',
      changes: {
        source: goodSource('b'),
        generations: [aGeneration('a'), aGeneration('b', { anchorsId: 'other', createdMs: NOW })],
      },
      want: { status: 'True', reason: 'Rotating' },
    },
    {
      name: 'a proxy does not take another root for longer than the patience',
      changes: { source: goodSource('b'), generations: [aGeneration('a'), aGeneration('b', { anchorsId: 'other' })] },
      want: {
        status: 'True',
        reason: 'RotationHeld',
        message: expect.stringMatching(/1 of 1 do not yet: demo\/web\. To go on without them: weft certs go-on/),
      },
    },
    {
      name: 'the anchor is bad',
      changes: { anchor: { ...noAnchor, trouble: 'no certificate' } },
      want: { status: 'True', reason: 'RenewalFailing' },
    },
  ])('goes on signing when $name, and says so', ({ changes, want }) => {
    const decision = decideFor('CertManager', { generations: [aGeneration('a')], ...changes });
    expect(decision.conditions[0]).toMatchObject(want);
    expect(decision.identity.activeIssuer).toBe('a');
  });

  it.each([
    { name: 'cert-manager is missing', changes: { certManager: 'absent' as const }, reason: 'CertManagerMissing' },
    {
      name: 'the only Secret is bad',
      changes: { source: { kind: 'refused', why: 'no key' } as const },
      reason: 'InvalidIssuer',
    },
    { name: 'the copy is under way', changes: { source: goodSource('b') }, reason: 'IssuerPending' },
  ])('cannot sign when $name, and says why', ({ changes, reason }) => {
    expect(decideFor('CertManager', changes, '').conditions[0]).toMatchObject({ status: 'False', reason });
  });

  it('writes no Certificate into a cluster that does not know the kind', () => {
    expect(decideFor('CertManager', { certManager: 'absent' }).certificate).toBeUndefined();
  });

  it('looks again before the active issuer ends', () => {
    const ending = aGeneration('a', { notAfterMs: NOW + 60_000 });
    expect(decideFor('CertManager', { source: goodSource('a'), generations: [ending] }).againAfterMs).toBe(60_000);
  });
});

describe('a managed trust anchor', () => {
  const managed = (changes: Partial<MeshInput> = {}) =>
    decideFor('CertManager', changes, 'a', { anchor: 'Managed', issuerRef: { name: 'self-signed', kind: 'Issuer' } });
  const commonName = (changes: Partial<MeshInput>): unknown =>
    (managed(changes).certificate?.['spec'] as { commonName: string } | undefined)?.commonName;

  it('is asked for from the issuer that is named, with an Issuer that signs with it', () => {
    const { anchor, certificate } = managed();
    expect(anchor).toMatchObject({
      certificate: {
        metadata: { name: 'weft-anchor-default', namespace: 'weft-system' },
        spec: {
          isCA: true,
          duration: '87600h',
          renewBefore: '8760h',
          issuerRef: { name: 'self-signed', kind: 'Issuer', group: 'cert-manager.io' },
          secretTemplate: { labels: { 'weft.dev/issuer': 'default', 'weft.dev/issuer-role': 'anchor' } },
        },
      },
      issuer: { metadata: { name: 'weft-anchor-default' }, spec: { ca: { secretName: 'weft-anchor-default' } } },
    });
    expect(certificate, 'nothing hangs on an anchor that is not there').toBeUndefined();
  });

  it('has the issuer signed anew whenever it changes, and when a person asks', () => {
    const anchor = { ...noAnchor, fingerprint: '11111111' };
    expect(managed({ anchor }).certificate).toMatchObject({
      spec: { issuerRef: { name: 'weft-anchor-default', kind: 'Issuer' }, commonName: 'weft issuer default 11111111' },
    });
    const names = [
      commonName({ anchor }),
      commonName({ anchor: { ...noAnchor, fingerprint: '22222222' } }),
      commonName({ anchor, renewIssuer: '33333333' }),
    ];
    expect(new Set(names).size).toBe(3);
    const long = 'm'.repeat(63);
    expect(String(commonName({ anchor, renewIssuer: '33333333', mesh: long })).length).toBeLessThanOrEqual(64);
  });

  it('is left to others when it is external', () => {
    expect(decideFor('CertManager').anchor).toBeUndefined();
  });
});

describe('a rotation that was taken back', () => {
  it('is not copied again, though its source is still there', () => {
    const object = anObject('a', { 'weft.dev/rotation-abort': 'b' });
    const generations = [aGeneration('a')];
    const aborted = decideFor('CertManager', { object, generations, source: goodSource('b') });
    expect(aborted).toMatchObject({ copy: undefined, identity: { activeIssuer: 'a', nextIssuer: '' } });
    expect(decideFor('CertManager', { object, generations, source: goodSource('c') }).copy?.name).toBe('c');
  });
});

describe('a self-managed mesh', () => {
  const root = aSecret('weft-root-default', { role: 'root', certificatePem: 'root' });

  it('makes the root first, then an issuer below it', () => {
    expect(decideFor('SelfManaged', {}, '').selfIssue).toMatchObject({ root: undefined });
    expect(decideFor('SelfManaged', { root }, '').selfIssue).toMatchObject({ root });
  });

  it('names a successor after its predecessor, so that two runs make one', () => {
    const due = aGeneration('a', { notBeforeMs: NOW - 70 * DAY, notAfterMs: NOW + 29 * DAY });
    const name = (generations: readonly HeldGeneration[]) =>
      decideFor('SelfManaged', { root, generations }).selfIssue?.name;
    expect(name([due])).toBe(name([due]));
    expect(name([due])).not.toBe(name([]));
  });

  it('leaves a good issuer alone until two thirds of its life are over', () => {
    const decision = decideFor('SelfManaged', { root, generations: [aGeneration('a')] });
    expect(decision).toMatchObject({
      certificate: undefined,
      selfIssue: undefined,
      conditions: [
        { status: 'True', reason: 'Issued' },
        { type: 'IssuerLasts', status: 'True' },
      ],
    });
  });

  it('makes another issuer, or another root, when a person asks for it', () => {
    const generations = [aGeneration('a')];
    expect(decideFor('SelfManaged', { root, generations, renewIssuer: '12345678' }).selfIssue).toMatchObject({
      root,
      renewal: '12345678',
    });
    const asked = { rootName: 'weft-root-default-12345678', root: undefined, roots: [root], generations };
    expect(decideFor('SelfManaged', asked)).toMatchObject({
      selfIssue: { root: undefined, rootName: 'weft-root-default-12345678' },
      obsoleteRoots: [],
    });
    const other = aSecret('weft-root-default-12345678', { role: 'root', certificatePem: 'other' });
    const later = {
      ...asked,
      root: other,
      roots: [root, other],
      generations: [aGeneration('b', { secret: aSecret('b', { caPem: 'other' }) })],
    };
    expect(decideFor('SelfManaged', later, 'b').obsoleteRoots).toEqual([root]);
  });

  it('starts afresh below its own root when cert-manager signed before, and waits until that root is trusted', () => {
    const foreign = aGeneration('a', { secret: aSecret('a', { caPem: 'other root' }), anchorsId: 'other' });
    expect(decideFor('SelfManaged', { root, generations: [foreign] }).selfIssue).toMatchObject({ root });
    const both = decideFor('SelfManaged', { root, generations: [foreign, aGeneration('b')] });
    expect(both).toMatchObject({ selfIssue: undefined, identity: { activeIssuer: 'a', nextIssuer: 'b' } });
  });
});
