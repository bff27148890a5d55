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
  const trust = new Map<string, TrustInput>();
  const pems = new Map<string, string>();
  beforeAll(async () => {
    for (const mesh of ['default', 'other']) {
      const { certificatePem } = await makeCa({ commonName: mesh, nowMs: Date.now(), validForMs: 3_600_000 });
      const read = readCertificates(certificatePem);
      const anchorsDer = read.ok ? read.value.map(({ raw }) => raw) : [];
      pems.set(mesh, certificatePem);
      trust.set(mesh, { trustDomain: mesh, anchorsDer, issuer: `weft-issuer-${mesh}-1`, leafDurationMs: 60_000 });
    }
  });
  const decideFor = (input: Partial<BundleInput>) =>
    decide({
      namespace: 'demo',
      facts: aNamespace(),
      mesh: 'default',
      running: [],
      trust,
      current: undefined,
      ...input,
    });

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
    { name: 'a pod has a proxy', input: { running: ['default'] }, kind: 'apply' },
    { name: 'nothing is meshed', input: {}, kind: 'nothing' },
    {
      name: 'injection is disabled and a copy of ours is left',
      input: { current: aCopy({ 'weft.dev/trust-bundle': 'true' }) },
      kind: 'remove',
    },
    { name: 'nothing is meshed and the ConfigMap is somebody else’s', input: { current: aCopy({}) }, kind: 'nothing' },
    { name: 'the namespace is gone', input: { facts: undefined, running: ['default'] }, kind: 'nothing' },
    {
      name: 'the mesh has no issuer at the moment',
      input: { running: ['default'], trust: new Map() },
      kind: 'nothing',
    },
  ])('when $name: $kind', ({ input, kind }) => {
    expect(decideFor(input).kind).toBe(kind);
  });

  it('writes the roots as PEM, marked as ours', () => {
    expect(decideFor({ running: ['default'] })).toMatchObject({
      desired: {
        metadata: { name: 'weft-trust', namespace: 'demo', labels: { 'weft.dev/trust-bundle': 'true' } },
        data: { 'ca.crt': pems.get('default') },
      },
    });
  });

  it('keeps the roots of a mesh whose proxies still run in a namespace that has left it, each under its own name', () => {
    const moved = decideFor({ mesh: 'other', running: ['default', 'other'] });
    const data = {
      'ca.crt': pems.get('other'),
      'mesh.default.crt': pems.get('default'),
      'mesh.other.crt': pems.get('other'),
    };
    expect(moved).toMatchObject({ desired: { data } });
    const replaced = decideFor({ mesh: 'other', running: ['other'] });
    expect(replaced.kind === 'apply' && Object.keys(replaced.desired['data'] as object)).toEqual([
      'ca.crt',
      'mesh.other.crt',
    ]);
  });

  it('keeps what it wrote of a mesh that has no issuer at the moment', () => {
    const current = { ...aCopy({}), data: { 'mesh.other.crt': 'held' } };
    const without = new Map([...trust].filter(([mesh]) => mesh === 'default'));
    expect(decideFor({ running: ['default', 'other'], trust: without, current })).toMatchObject({
      desired: { data: { 'ca.crt': pems.get('default'), 'mesh.other.crt': 'held' } },
    });
  });
});
