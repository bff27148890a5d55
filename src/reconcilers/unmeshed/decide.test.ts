import { describe, expect, it } from 'vitest';
import { isMeshed, type PodFacts, snapshotOf, unmeshedPods } from '../../model/index.ts';
import { decide, type Eviction, type UnmeshedDecision } from './decide.ts';

const NOW_MS = Date.parse('2026-01-01T01:00:00Z');

interface PodChanges {
  readonly meshed?: boolean;
  readonly owner?: { readonly kind: string; readonly name: string } | undefined;
  readonly ready?: boolean;
  readonly created?: string;
  readonly annotations?: Record<string, string>;
  readonly namespace?: string;
}

function aPod(name: string, changes: PodChanges = {}): object {
  const {
    meshed = false,
    ready = true,
    created = '2026-01-01T00:00:00Z',
    annotations = {},
    namespace = 'demo',
  } = changes;
  const owner = 'owner' in changes ? changes.owner : { kind: 'StatefulSet', name: 'db' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      creationTimestamp: created,
      annotations,
      labels: meshed ? { 'weft.dev/proxy': 'default' } : {},
      ownerReferences: owner === undefined ? [] : [{ ...owner, controller: true }],
    },
    spec: { containers: [{ name: 'app' }], serviceAccountName: 'default' },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

const aNamespace = (name: string, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels, annotations: { 'weft.dev/inject': 'enabled' } },
});

const snapshotWith = (...pods: readonly object[]) =>
  snapshotOf([
    aNamespace('demo'),
    aNamespace('weft-system'),
    aNamespace('out', { 'weft.dev/admission-webhooks': 'disabled' }),
    ...pods,
  ]).snapshot;

function decided(
  pods: readonly object[],
  more: { last?: Eviction; notBefore?: ReadonlyMap<string, number>; nowMs?: number } = {},
): string {
  const snapshot = snapshotWith(...pods);
  const unmeshed = unmeshedPods(snapshot, 'weft-system');
  const decision: UnmeshedDecision = decide({
    nowMs: more.nowMs ?? NOW_MS,
    pods: snapshot.pods.values(),
    unmeshed,
    last: more.last,
    notBefore: more.notBefore ?? new Map(),
    isMeshed,
  });
  if (decision.kind === 'evict') return `evict ${decision.eviction.pod.meta.name}`;
  if (decision.kind === 'wait') return `wait ${decision.afterMs}`;
  return decision.kind === 'giveUp' ? `giveUp ${decision.workload}` : decision.kind;
}

describe('pods that should have a proxy', () => {
  it.each([
    { name: 'one in a namespace with injection', pod: aPod('a'), want: ['a'] },
    { name: 'not one that has a proxy', pod: aPod('a', { meshed: true }), want: [] },
    { name: 'not one that opts out', pod: aPod('a', { annotations: { 'weft.dev/inject': 'disabled' } }), want: [] },
    { name: 'not one of the control plane', pod: aPod('a', { namespace: 'weft-system' }), want: [] },
    { name: 'not one where webhooks are kept away', pod: aPod('a', { namespace: 'out' }), want: [] },
    { name: 'not a static pod', pod: aPod('a', { annotations: { 'kubernetes.io/config.mirror': 'x' } }), want: [] },
  ])('are: $name', ({ pod, want }) => {
    expect(unmeshedPods(snapshotWith(pod), 'weft-system').map(({ meta }) => meta.name)).toEqual(want);
  });
});

describe('which pod is made anew', () => {
  it.each([
    { name: 'the first of several', pods: [aPod('a'), aPod('b')], want: 'evict a' },
    { name: 'none where all have proxies', pods: [aPod('a', { meshed: true })], want: 'nothing' },
    { name: 'none without a controller', pods: [aPod('a', { owner: undefined })], want: 'nothing' },
    { name: 'none of a Job', pods: [aPod('a', { owner: { kind: 'Job', name: 'j' } })], want: 'nothing' },
    {
      name: 'none that has just been made',
      pods: [aPod('a', { created: '2026-01-01T00:59:50Z' })],
      want: 'wait 20000',
    },
  ])('$name', ({ pods, want }) => {
    expect(decided(pods)).toBe(want);
  });

  it('none of a workload that is to be left alone', () => {
    const other = aPod('b', { owner: { kind: 'StatefulSet', name: 'other' } });
    const notBefore = new Map([['StatefulSet demo/db', Number.POSITIVE_INFINITY]]);
    expect(decided([aPod('a')], { notBefore })).toBe('nothing');
    expect(decided([aPod('a'), other], { notBefore })).toBe('evict b');
  });

  describe('after one was evicted', () => {
    const snapshot = snapshotWith(aPod('a'), aPod('b'));
    const pod = [...snapshot.pods.values()].find(({ meta }) => meta.name === 'a') as PodFacts;
    const last: Eviction = { pod, atMs: NOW_MS, known: new Set(['uid-a', 'uid-b']) };
    it.each([
      { name: 'waits while it is still there', pods: [aPod('a'), aPod('b')], want: 'wait 2000' },
      { name: 'waits for its successor', pods: [aPod('b')], want: 'wait 2000' },
      {
        name: 'waits until the successor is ready',
        pods: [aPod('b'), aPod('c', { meshed: true, ready: false })],
        want: 'wait 2000',
      },
      { name: 'goes on once it is', pods: [aPod('b'), aPod('c', { meshed: true })], want: 'settled' },
      {
        name: 'leaves the workload alone when the successor has no proxy either',
        pods: [aPod('b'), aPod('c')],
        want: 'giveUp StatefulSet demo/db',
      },
      {
        name: 'waits for no successor for ever',
        pods: [aPod('b')],
        nowMs: NOW_MS + 300_001,
        want: 'giveUp StatefulSet demo/db',
      },
    ])('$name', ({ pods, nowMs = NOW_MS + 1_000, want }) => {
      expect(decided(pods, { last, nowMs })).toBe(want);
    });
  });
});
