import { expect, test } from 'vitest';
import { objectKey, type Problem } from '../kernel/index.ts';
import { createReadiness } from '../runtime/index.ts';
import { createApp } from './app.ts';
import { checkAnswer } from './check.ts';
import { configOf, printable, summarise } from './proxies.ts';
import { statusAnswer } from './status.ts';
import { aMesh, anIssuer, aPod, aProxy, NOW_MS, ports } from './testing.ts';

const held = { name: 'workload', ackedVersion: 'v1', sentVersion: 'v1', nackReason: undefined };

test.each([
  { name: 'one that acknowledged everything is current', proxy: aProxy('web'), want: 'current' },
  {
    name: 'one that was sent something is updating',
    proxy: aProxy('web', { resources: [{ ...held, sentVersion: 'v2' }] }),
    want: 'updating',
  },
  {
    name: 'one that refused something is refusing',
    proxy: aProxy('web', { resources: [{ ...held, sentVersion: 'v2', nackReason: 'bad' }] }),
    want: 'refusing',
  },
  {
    name: 'one not heard of for 30 s is silent, whatever else',
    proxy: aProxy('web', { silent: true }),
    want: 'silent',
  },
  {
    name: 'one on whose stream nothing was said for an hour is not',
    proxy: aProxy('web', { lastHeardMs: NOW_MS - 3_600_000 }),
    want: 'current',
  },
])('a proxy: $name', ({ proxy, want }) => {
  expect(summarise(proxy, 'weft-operator-a').state).toBe(want);
});

test('the configuration of a proxy compares what it holds with what is compiled now', () => {
  const key = objectKey({ group: 'split.smi-spec.io', kind: 'TrafficSplit', namespace: 'demo', name: 'web' });
  const domain = { mesh: 'default', trustDomain: 'cluster.local', anchors: [new Uint8Array([1, 2])] };
  const trust = { domains: [domain], issuer: 'weft-issuer-default-1', renewWithinMs: 0 };
  const config = {
    ...ports().config,
    resource: (_: unknown, name: string) =>
      name === 'trust'
        ? { name, version: 'v2', derivedFrom: [{ key, generation: 3 }], body: { kind: 'trust' as const, trust } }
        : undefined,
  };
  const proxy = aProxy('web', {
    resources: [
      { ...held, name: 'workload' },
      { ...held, name: 'trust' },
    ],
  });
  expect(configOf(proxy, config).resources).toEqual([
    {
      name: 'trust',
      version: 'v2',
      sentVersion: 'v1',
      ackedVersion: 'v1',
      current: false,
      refusal: '',
      derivedFrom: [{ object: key, generation: 3 }],
      body: {
        kind: 'trust',
        trust: {
          domains: [{ mesh: 'default', trustDomain: 'cluster.local', anchors: ['AQI='] }],
          issuer: 'weft-issuer-default-1',
          renewWithinMs: 0,
        },
      },
    },
    {
      name: 'workload',
      version: '',
      sentVersion: 'v1',
      ackedVersion: 'v1',
      current: false,
      refusal: '',
      derivedFrom: [],
      body: null,
    },
  ]);
});

test('what JSON has no word for is printed as base64 and objects', () => {
  expect(printable(new Map([[1, [new Uint8Array([255])]]]))).toEqual({ 1: ['/w=='] });
});

test('status counts pods and proxies by namespace; pods that have ended do not count', () => {
  const objects = [aMesh, aPod('a'), aPod('b', { meshed: false }), aPod('c', { phase: 'Succeeded' })];
  const answer = statusAnswer(ports({ objects, proxies: [aProxy('a')] }), '');
  expect(answer.namespaces).toEqual([
    {
      namespace: 'demo',
      mesh: 'default',
      pods: { total: 2, meshed: 1 },
      proxies: { connected: 1, current: 1, silent: 0, refusing: 0 },
    },
  ]);
  expect(answer.meshes).toMatchObject([
    { name: 'default', trustDomain: 'cluster.local', issuer: { generation: 'weft-issuer-default-1' } },
  ]);
});

test('status of one namespace shows no other, nor its problems', () => {
  const problem = (namespace: string): Problem => ({
    object: objectKey({ group: 'policy.linkerd.io', kind: 'Server', namespace, name: 's' }),
    path: '',
    reason: 'Invalid',
    message: 'wrong',
    severity: 'error',
  });
  const findings = () => ({ statuses: new Map(), problems: [problem('demo'), problem('other')] });
  const answer = statusAnswer(ports({ objects: [aPod('a')], findings }), 'other');
  expect(answer.namespaces).toEqual([]);
  expect(answer.problems).toEqual([problem('other')]);
});

test('check of a sound operator finds nothing and remedies nothing', () => {
  const answer = checkAnswer(ports({ objects: [aMesh, aPod('a')], proxies: [aProxy('a')] }));
  expect(answer.ready).toBe(true);
  expect(answer.checks.filter(({ result, remedy }) => result !== 'ok' || remedy !== '')).toEqual([]);
  expect(answer.checks.length).toBeGreaterThanOrEqual(7);
});

const day = 86_400_000;
const unready = createReadiness();
unready.task('stores', 'pods not listed');

test.each([
  {
    name: 'an unfinished task',
    given: { readiness: unready },
    check: 'the operator is ready',
    want: 'error',
    message: 'stores: pods not listed',
  },
  { name: 'no mesh', given: { objects: [] }, check: 'there is a mesh', want: 'error', message: 'no MeshConfig exists' },
  {
    name: 'no issuer',
    given: issuer(undefined),
    check: 'mesh default has a valid issuer',
    want: 'error',
    message: 'no usable issuer',
  },
  {
    name: 'an issuer at its end',
    given: issuer(0),
    check: 'mesh default has a valid issuer',
    want: 'error',
    message: '2026-01-01',
  },
  {
    name: 'an issuer about to outlive no leaf',
    given: issuer(day - 1),
    check: 'mesh default has a valid issuer',
    want: 'warning',
    message: '2026-01-01T23',
  },
  {
    name: 'a silent proxy',
    given: { proxies: [aProxy('a', { silent: true })] },
    check: 'every connected proxy answers',
    want: 'warning',
    message: 'demo/a',
  },
  {
    name: 'a refused resource',
    given: { proxies: [aProxy('a', { resources: [{ ...held, nackReason: 'x' }] })] },
    check: 'every proxy takes its configuration',
    want: 'error',
    message: 'demo/a',
  },
  {
    name: 'an old proxy',
    given: { proxies: [aProxy('a', { proxyVersion: '0.0.9' })] },
    check: 'every proxy has the version of the operator',
    want: 'warning',
    message: 'demo/a',
  },
  {
    name: 'a pod that was not injected',
    given: { objects: [aMesh, aPod('a', { meshed: false, labels: { 'weft.dev/inject': 'enabled' } })] },
    check: 'every pod that should have a proxy has one',
    want: 'warning',
    message: 'demo/a',
  },
])('check finds $name', ({ given, check, want, message }) => {
  const found = checkAnswer(ports(given)).checks.find(({ name }) => name === check);
  expect(found).toMatchObject({ result: want, message: expect.stringContaining(message) });
  expect(found?.remedy).not.toBe('');
});

test('the CNI plugin is asked for where pods need it, node by node', () => {
  const named = 'every node whose pods need the CNI plugin has it';
  const needs = (name: string, node: string, phase = 'Running') =>
    aPod(name, { node, phase, annotations: { 'weft.dev/redirect-rules': '--proxy-uid 2102' } });
  const plugin = (node: string, ready: boolean) =>
    aPod(`weft-cni-${node}`, { node, ready, meshed: false, labels: { 'app.kubernetes.io/name': 'weft-cni' } });
  const found = (...objects: object[]) =>
    checkAnswer(ports({ objects: [aMesh, ...objects] })).checks.find(({ name }) => name === named);
  expect(found(aPod('a', { node: 'n1' }), needs('done', 'n1', 'Succeeded'), needs('unscheduled', ''))).toBeUndefined();
  expect(found(needs('a', 'n1', 'Pending'), plugin('n1', true))).toMatchObject({ result: 'ok' });
  const pods = [needs('a', 'n1'), needs('b', 'n2', 'Pending'), needs('c', 'n3'), aPod('d', { node: 'n4' })];
  expect(found(...pods, plugin('n1', true), plugin('n2', false))).toMatchObject({
    result: 'error',
    message: 'n2, n3',
    remedy: expect.stringContaining('cni.enabled=true'),
  });
});

test('a long list is cut, and says how much is missing', () => {
  const proxies = Array.from({ length: 7 }, (_, index) => aProxy(`p${index}`, { silent: true }));
  const found = checkAnswer(ports({ proxies })).checks.find(({ name }) => name === 'every connected proxy answers');
  expect(found?.message).toBe('demo/p0, demo/p1, demo/p2, demo/p3, demo/p4 and 2 more');
});

function issuer(leftMs: number | undefined) {
  const active = () => (leftMs === undefined ? undefined : anIssuer({ notAfterMs: NOW_MS + leftMs }));
  return { issuers: { ...ports().issuers, active } };
}

test('answers are over all replicas: each proxy says where it is, and a replica that is missing is named', async () => {
  const reason = 'no answer within 10 s';
  const given = ports({
    proxies: [aProxy('here'), aProxy('there', { replica: 'weft-operator-b' })],
    missing: [{ replica: 'weft-operator-c', reason }],
  });
  const answer = await createApp(given).request('/v1/proxies', { headers: { Authorization: 'Bearer good' } });
  expect(await answer.json()).toMatchObject({
    proxies: [
      { pod: 'here', replica: 'weft-operator-a' },
      { pod: 'there', replica: 'weft-operator-b' },
    ],
    missing: [{ replica: 'weft-operator-c', reason }],
  });
  expect(statusAnswer(given, '').missing).toEqual([{ replica: 'weft-operator-c', reason }]);
  const check = checkAnswer(given).checks.find(({ name }) => name.includes('replica'));
  expect(check).toMatchObject({ result: 'warning', message: `weft-operator-c: ${reason}` });
});

test('a replica warns of its own proxies alone, for the others warn of theirs', () => {
  const silent = ['', 'weft-operator-b'].map((replica, index) => aProxy(`p${index}`, { replica, silent: true }));
  const found = checkAnswer(ports({ proxies: silent })).checks.find(({ name }) => name.includes('answers'));
  expect(found).toMatchObject({ result: 'warning', message: 'demo/p0' });
});
