import { beforeAll, describe, expect, it } from 'vitest';
import { makeCa, readCertificates } from '../../identity/index.ts';
import { namespaceKey } from '../../kernel/index.ts';
import type { NamespaceFacts, TrustInput } from '../../model/index.ts';
import { decide } from './decide.ts';
import type { BundleInput } from './gather.ts';

const aNamespace = (meta: Partial<NamespaceFacts['meta']> = {}): NamespaceFacts => ({
  key: namespaceKey('demo'),
  meta: {
    name: 'demo',
    namespace: '',
    uid: 'u',
    generation: 0,
    creationTimestamp: '',
    labels: {},
    annotations: {},
    resourceVersion: '1',
    ...meta,
  },
});
const aCopy = (labels: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'weft-trust', namespace: 'demo', uid: 'copy', labels },
});

describe('decide', () => {
  let trust: TrustInput;
  let pem = '';
  beforeAll(async () => {
    pem = (await makeCa({ commonName: 'root', nowMs: Date.now(), validForMs: 3_600_000 })).certificatePem;
    const read = readCertificates(pem);
    const anchorsDer = read.ok ? read.value.map(({ raw }) => raw) : [];
    trust = { trustDomain: 'cluster.local', anchorsDer, issuer: 'weft-issuer-default-1', leafDurationMs: 60_000 };
  });
  const decideFor = (input: Partial<BundleInput>) =>
    decide({ namespace: 'demo', facts: aNamespace(), hasProxies: false, trust, current: undefined, ...input });

  it.each([
    {
      name: 'the annotation of Weft enables injection',
      input: { facts: aNamespace({ annotations: { 'weft.dev/inject': 'enabled' } }) },
      kind: 'apply',
    },
    {
      name: 'the label of Weft enables injection',
      input: { facts: aNamespace({ labels: { 'weft.dev/inject': 'enabled' } }) },
      kind: 'apply',
    },
    {
      name: 'the annotation of Linkerd enables injection',
      input: { facts: aNamespace({ annotations: { 'linkerd.io/inject': 'enabled' } }) },
      kind: 'apply',
    },
    { name: 'a pod has a proxy', input: { hasProxies: true }, kind: 'apply' },
    { name: 'nothing is meshed', input: {}, kind: 'nothing' },
    {
      name: 'injection is disabled and a copy of ours is left',
      input: { current: aCopy({ 'weft.dev/trust-bundle': 'true' }) },
      kind: 'remove',
    },
    { name: 'nothing is meshed and the ConfigMap is somebody else’s', input: { current: aCopy({}) }, kind: 'nothing' },
    { name: 'the namespace is gone', input: { facts: undefined, hasProxies: true }, kind: 'nothing' },
    { name: 'the mesh has no issuer at the moment', input: { hasProxies: true, trust: undefined }, kind: 'nothing' },
  ])('when $name: $kind', ({ input, kind }) => {
    expect(decideFor(input).kind).toBe(kind);
  });

  it('writes the roots as PEM, marked as ours', () => {
    expect(decideFor({ hasProxies: true })).toMatchObject({
      desired: {
        metadata: { name: 'weft-trust', namespace: 'demo', labels: { 'weft.dev/trust-bundle': 'true' } },
        data: { 'ca.crt': pem },
      },
    });
  });
});
