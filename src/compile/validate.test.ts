import { describe, expect, it } from 'vitest';
import { snapshotOf } from '../model/index.ts';
import { type JsonPatch, normaliseTrafficSplit, problemText, REASONS, validateObject } from './index.ts';
import { OPTIONS } from './testing/golden-case.ts';

type Json = Readonly<Record<string, unknown>>;

const APIS: Readonly<Record<string, string>> = {
  Server: 'policy.linkerd.io/v1beta3',
  ServerAuthorization: 'policy.linkerd.io/v1beta1',
  TrafficPolicy: 'weft.dev/v1alpha1',
  TrafficSplit: 'split.smi-spec.io/v1alpha4',
  HTTPRouteGroup: 'specs.smi-spec.io/v1alpha4',
  MeshConfig: 'weft.dev/v1alpha1',
};
const object = (kind: string, spec: unknown, name = 'it') => ({
  apiVersion: APIS[kind],
  kind,
  metadata: { name, ...(kind === 'MeshConfig' ? {} : { namespace: 'demo' }) },
  spec,
});
const saz = (client: Json) => ({ server: { name: 's' }, client });
const net = (cidr: string, ...except: readonly string[]) =>
  saz({ unauthenticated: true, networks: [{ cidr, except }] });
const policy = (rest: object) => ({ targetRef: { name: 'web' }, ...rest });
const fault = (rest: object) => policy({ faults: [{ name: 'f', until: '2030-01-01T00:00:00Z', ...rest }] });

const split = (...weights: readonly unknown[]) => ({
  service: 'web',
  backends: weights.map((weight, index) => ({ service: `b${index}`, weight })),
});

describe('validateObject refuses', () => {
  it.each([
    [
      'a Server with an unknown protocol',
      'Server',
      { podSelector: {}, port: 80, proxyProtocol: 'HTTP' },
      'spec.proxyProtocol',
    ],
    [
      'a Server with an unknown access policy',
      'Server',
      { podSelector: {}, port: 80, accessPolicy: 'allow' },
      'spec.accessPolicy',
    ],
    ['a Server without selector', 'Server', { port: 80 }, 'spec'],
    ['a Server with two selectors', 'Server', { port: 80, podSelector: {}, externalWorkloadSelector: {} }, 'spec'],
    ['a Server without port', 'Server', { podSelector: {} }, 'spec.port'],
    ['a Server with port 0', 'Server', { podSelector: {}, port: 0 }, 'spec.port'],
    [
      'an unknown selector operator',
      'Server',
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] }, port: 80 },
      'spec.podSelector.matchExpressions[0].operator',
    ],
    [
      'a selector that asks for one of nothing',
      'Server',
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] }, port: 80 },
      'spec.podSelector.matchExpressions[0].values',
    ],
    [
      'unauthenticated beside meshTLS',
      'ServerAuthorization',
      saz({ unauthenticated: true, meshTLS: { identities: ['*'] } }),
      'spec.client.meshTLS',
    ],
    [
      'unauthenticatedTLS beside identities',
      'ServerAuthorization',
      saz({ meshTLS: { unauthenticatedTLS: true, identities: ['*'] } }),
      'spec.client.meshTLS',
    ],
    [
      'unauthenticatedTLS beside service accounts',
      'ServerAuthorization',
      saz({ meshTLS: { unauthenticatedTLS: true, serviceAccounts: [{ name: 'a' }] } }),
      'spec.client.meshTLS',
    ],
    ['a client block that authorizes nobody', 'ServerAuthorization', saz({}), 'spec.client'],
    ['meshTLS that names nobody', 'ServerAuthorization', saz({ meshTLS: { identities: [] } }), 'spec.client'],
    [
      'an identity that can be none',
      'ServerAuthorization',
      saz({ meshTLS: { identities: ['a.*.b'] } }),
      'spec.client.meshTLS.identities[0]',
    ],
    ['a bad address range', 'ServerAuthorization', net('10.0.0.0/40'), 'spec.client.networks[0].cidr'],
    ['a bad exception', 'ServerAuthorization', net('10.0.0.0/8', 'x'), 'spec.client.networks[0].except[0]'],
    [
      'an exception outside its range',
      'ServerAuthorization',
      net('10.0.0.0/8', '10.1.0.0/16', '11.0.0.0/8'),
      'spec.client.networks[0].except[1]',
    ],
    [
      'an exception that covers the whole range',
      'ServerAuthorization',
      net('10.0.0.0/8', '10.0.0.0/8'),
      'spec.client.networks[0].except[0]',
    ],
    [
      'both name and selector of a Server',
      'ServerAuthorization',
      { server: { name: 'a', selector: {} }, client: { unauthenticated: true } },
      'spec.server',
    ],
    [
      'a fault without an end',
      'TrafficPolicy',
      policy({ faults: [{ name: 'f', delay: '1s' }] }),
      'spec.faults[0].until',
    ],
    [
      'a fault whose end is no moment',
      'TrafficPolicy',
      fault({ delay: '1s', until: 'tomorrow' }),
      'spec.faults[0].until',
    ],
    [
      'two faults of one name',
      'TrafficPolicy',
      policy({ faults: ['1s', '2s'].map(delay => ({ name: 'f', until: '2030-01-01T00:00:00Z', delay })) }),
      'spec.faults[1].name',
    ],
    ['a fault that does nothing', 'TrafficPolicy', fault({}), 'spec.faults[0]'],
    ['a fault that delays for an hour', 'TrafficPolicy', fault({ delay: '1h' }), 'spec.faults[0].delay'],
    ['a fault that answers 200', 'TrafficPolicy', fault({ abort: { status: 200 } }), 'spec.faults[0].abort.status'],
    ['a duration without a unit', 'TrafficPolicy', policy({ timeouts: { request: '5' } }), 'spec.timeouts.request'],
    [
      'a try that outlasts its request',
      'TrafficPolicy',
      policy({ timeouts: { request: '1s', perTry: '2s' } }),
      'spec.timeouts.perTry',
    ],
    ['no further try at all', 'TrafficPolicy', policy({ retry: { limit: 0 } }), 'spec.retry.limit'],
    [
      'a word that is no reason to retry',
      'TrafficPolicy',
      policy({ retry: { httpOn: ['6xx'] } }),
      'spec.retry.httpOn[0]',
    ],
    [
      'a gRPC status in capitals',
      'TrafficPolicy',
      policy({ retry: { grpcOn: ['UNAVAILABLE'] } }),
      'spec.retry.grpcOn[0]',
    ],
    [
      'a ring that hashes on nothing',
      'TrafficPolicy',
      policy({ loadBalancing: { algorithm: 'RingHash' } }),
      'spec.loadBalancing.hashOn',
    ],
    [
      'a cookie without a name',
      'TrafficPolicy',
      policy({ loadBalancing: { algorithm: 'RingHash', hashOn: { kind: 'Cookie' } } }),
      'spec.loadBalancing.hashOn.name',
    ],
    [
      'a rule whose expression is no RE2',
      'TrafficPolicy',
      policy({ rules: [{ name: 'a', matches: [{ path: { type: 'RegularExpression', value: '(?=a)' } }] }] }),
      'spec.rules[0].matches[0].path.value',
    ],
    [
      'a condition on the query whose expression is no RE2',
      'TrafficPolicy',
      policy({
        rules: [{ name: 'a', matches: [{ queryParams: [{ type: 'RegularExpression', name: 'q', value: '(' }] }] }],
      }),
      'spec.rules[0].matches[0].queryParams[0].value',
    ],
    [
      'a target that is no Service',
      'TrafficPolicy',
      { targetRef: { kind: 'Pod', name: 'web' } },
      'spec.targetRef.kind',
    ],
    ['a negative weight', 'TrafficSplit', split(-1), 'spec.backends[0].weight'],
    ['a broken number as weight', 'TrafficSplit', split(1, 0.5), 'spec.backends[1].weight'],
    ['a text that is no quantity', 'TrafficSplit', split('50%'), 'spec.backends[0].weight'],
    ['a negative quantity', 'TrafficSplit', split('-500m'), 'spec.backends[0].weight'],
    ['a weight beyond all bounds', 'TrafficSplit', split(1, 9_000_000_000_000), 'spec.backends[1].weight'],
    ['a weight just beyond the bound', 'TrafficSplit', split(1_000_001, 1), 'spec.backends[0].weight'],
    ['a quantity beyond all bounds', 'TrafficSplit', split(1, '9G'), 'spec.backends[1].weight'],
    ['a text beyond all bounds', 'TrafficSplit', split('999999999999999e99'), 'spec.backends[0].weight'],
    ['a fraction that makes another too great', 'TrafficSplit', split('1n', 1), 'spec.backends[1].weight'],
    [
      'the same backend twice',
      'TrafficSplit',
      { service: 'web', backends: ['a', 'b', 'a'].map(service => ({ service, weight: 1 })) },
      'spec.backends[2].service',
    ],
    [
      'the same backend twice, once by its full name',
      'TrafficSplit',
      { service: 'web', backends: ['a', 'a.demo.svc.cluster.local'].map(service => ({ service, weight: 0 })) },
      'spec.backends[1].service',
    ],
    ['a root in another namespace', 'TrafficSplit', { service: 'web.other', backends: [] }, 'spec.service'],
    [
      'a backend in another namespace',
      'TrafficSplit',
      { service: 'web', backends: [{ service: 'b.other.svc', weight: 1 }] },
      'spec.backends[0].service',
    ],
    ['a name that can be no Service', 'TrafficSplit', { service: 'Web', backends: [] }, 'spec.service'],
    [
      'a match of an unknown kind',
      'TrafficSplit',
      { ...split(1), matches: [{ kind: 'TCPRoute', name: 'a' }] },
      'spec.matches[0]',
    ],
    [
      'an expression that is not RE2',
      'HTTPRouteGroup',
      { matches: [{ name: 'a', pathRegex: '(?!x)' }] },
      'spec.matches[0].pathRegex',
    ],
    [
      'a header expression that is not RE2',
      'HTTPRouteGroup',
      { matches: [{ name: 'a', headers: { b: '(' } }] },
      'spec.matches[0].headers.b',
    ],
    ['two matches of one name', 'HTTPRouteGroup', { matches: [{ name: 'a' }, { name: 'a' }] }, 'spec.matches[1].name'],
    [
      'an unknown method',
      'HTTPRouteGroup',
      { matches: [{ name: 'a', methods: ['get'] }] },
      'spec.matches[0].methods[0]',
    ],
    ['a mesh with a bad address range', 'MeshConfig', { clusterNetworks: ['10/8'] }, 'spec.clusterNetworks[0]'],
    ['a mesh with a bad duration', 'MeshConfig', { detectTimeout: '10' }, 'spec.detectTimeout'],
    ['a mesh with ports that are none', 'MeshConfig', { opaquePorts: '70000' }, 'spec.opaquePorts'],
  ])('%s', (_, kind, spec, path) => {
    const errors = validateObject(kind, object(kind, spec)).filter(problem => problem.severity === 'error');
    expect(errors.map(problem => problem.path)).toEqual([path]);
    for (const problem of errors) {
      expect(Object.keys(REASONS)).toContain(problem.reason);
      expect(problemText(problem)).toMatch(
        kind === 'MeshConfig' ? /^MeshConfig it: / : new RegExp(`^${kind} demo/it: spec`),
      );
    }
  });

  it('an object without a name', () => {
    expect(
      validateObject('Server', { apiVersion: APIS['Server'], kind: 'Server', metadata: {}, spec: {} }),
    ).toMatchObject([{ path: 'metadata.name', severity: 'error' }]);
  });
});

describe('validateObject lets in', () => {
  const service = (name: string, spec: Json = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }], ...spec },
  });
  const among = (...objects: readonly unknown[]) => ({ snapshot: snapshotOf(objects).snapshot, options: OPTIONS });

  it.each([
    [
      'weights that are all 0',
      split(0, 0),
      among(service('web'), service('b0'), service('b1')),
      ['NoEffectiveBackends'],
    ],
    [
      'a root that is its own backend',
      { service: 'web', backends: [{ service: 'web', weight: 1 }] },
      among(service('web')),
      ['SelfReference'],
    ],
    ['backends that are still to come', split(1), among(service('web')), ['BackendNotFound']],
    ['a root that is still to come', split(1), among(service('b0')), ['RootNotFound']],
    ['a headless root', split(1), among(service('web', { clusterIP: 'None' }), service('b0')), ['HeadlessRoot']],
    [
      'backends without the port of the root',
      split(1),
      among(service('web'), service('b0', { ports: [{ port: 81 }] })),
      ['PortMismatch'],
    ],
    [
      'a second split on the same root',
      split(1),
      among(service('web'), service('b0'), {
        ...object('TrafficSplit', split(1), 'first'),
        metadata: { name: 'first', namespace: 'demo', creationTimestamp: '2026-01-01T00:00:00Z' },
      }),
      ['Conflicted'],
    ],
    ['the greatest weight', split(1_000_000), among(service('web'), service('b0')), []],
    ['what has nothing wrong with it', split('500m'), among(service('web'), service('b0')), []],
  ])('%s, with a warning', (_, spec, context, reasons) => {
    const problems = validateObject('TrafficSplit', object('TrafficSplit', spec), context);
    expect(problems.map(problem => [problem.severity, problem.reason])).toEqual(
      reasons.map(reason => ['warning', reason]),
    );
  });

  it('an authorization for a Server that is still to come, with a warning', () => {
    const problems = validateObject(
      'ServerAuthorization',
      object('ServerAuthorization', saz({ unauthenticated: true })),
      among(),
    );
    expect(problems).toMatchObject([{ severity: 'warning', reason: 'ServerNotFound' }]);
  });

  it('kinds that are not ours', () => expect(validateObject('Pod', { metadata: {} })).toEqual([]));
});

describe('normaliseTrafficSplit', () => {
  const patched = (...weights: readonly unknown[]): readonly JsonPatch[] =>
    normaliseTrafficSplit(object('TrafficSplit', split(...weights)));

  it.each([
    [
      ['500m', 1],
      [1, 2],
    ],
    [
      ['0', '100'],
      [0, 100],
    ],
    [
      ['10m', '100m', '1500m'],
      [1, 10, 150],
    ],
  ])('turns %j into %j', (before, after) => {
    expect(patched(...before).map(({ value }) => value)).toEqual(after);
    expect(patched(...before).map(({ path }) => path)).toEqual(
      after.map((_, index) => `/spec/backends/${index}/weight`),
    );
  });

  it('leaves alone what is whole already', () => {
    expect(patched(90, 10)).toEqual([]);
    expect(patched(0, '10')).toEqual([{ op: 'replace', path: '/spec/backends/1/weight', value: 10 }]);
  });

  it('leaves alone what would become greater than the greatest weight', () => {
    expect(patched('1n', 1)).toEqual([]);
    expect(patched('9G')).toEqual([]);
    expect(patched('500m', 500_000).map(({ value }) => value)).toEqual([1, 1_000_000]);
  });

  it('leaves alone what it cannot read', () => {
    expect(patched('x', '500m')).toEqual([]);
    expect(patched(-1, '500m')).toEqual([]);
    expect(normaliseTrafficSplit(null)).toEqual([]);
    expect(normaliseTrafficSplit({ spec: { backends: [null] } })).toEqual([]);
  });
});
