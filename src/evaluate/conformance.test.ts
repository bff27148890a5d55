import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type {
  Authorization,
  Backend,
  Clients,
  HttpMatch,
  InboundPort,
  PathMatch,
  Ref,
  RequestPolicy,
} from '../model/index.ts';
import { authorize, type Client, type RequestHead, selectPolicy, selectRoute } from './index.ts';

// The format is told at the top of each file; the Rust side reads the same files.
const folder = join(import.meta.dirname, '../../conformance');
const read = (name: string): readonly Json[] =>
  (parse(readFileSync(join(folder, name), 'utf8')) as { cases: Json[] }).cases;

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (value ?? []) as readonly Json[];
const named = (name: unknown): Ref => ({ group: '', kind: 'test', namespace: '', name: String(name), port: 0 });
const EVERYWHERE = [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }];

function requestOf(value: unknown): RequestHead | undefined {
  if (value === undefined) return undefined;
  const { method = 'GET', path = '/', query, headers = {} } = value as Partial<RequestHead>;
  return { method, path, query, headers };
}

function matchOf(match: Json): HttpMatch {
  const [path] = Object.entries((match['path'] ?? {}) as Record<PathMatch['kind'], string>);
  const conditions = (field: string) =>
    list(match[field]).map(({ name, exact, regex }) => ({
      name: String(name),
      kind: exact === undefined ? ('regex' as const) : ('exact' as const),
      value: String(exact ?? regex),
    }));
  return {
    path: path === undefined ? undefined : { kind: path[0] as PathMatch['kind'], value: path[1] },
    headers: conditions('headers'),
    query: conditions('query'),
    methods: (match['methods'] ?? []) as string[],
  };
}

function backendOf({ name, weight = 1, error }: Json): Backend {
  const target =
    error === undefined
      ? { kind: 'endpoints' as const, name: String(name) }
      : { kind: 'errorStatus' as const, status: Number(error) };
  return { weight: Number(weight), backend: named(name), target, labels: [] };
}

function policyOf({ rule, matches }: Json): RequestPolicy {
  return {
    policy: named('policy'),
    rule: String(rule),
    matches: list(matches).map(matchOf),
    timeouts: undefined,
    retry: undefined,
    breaker: undefined,
    maxRequests: 0,
    faults: [],
  };
}

function clientsOf(clients: unknown): Clients {
  if (clients === 'unauthenticated' || clients === 'unauthenticatedTls') return { kind: clients };
  if (clients === 'anyIdentity') return { kind: 'meshTls', any: true, identities: [], suffixes: [] };
  const { exact = [], suffixes = [] } = clients as { exact?: string[]; suffixes?: string[] };
  return { kind: 'meshTls', any: false, identities: exact, suffixes };
}

function authorizationOf({ name, networks = EVERYWHERE, clients }: Json): Authorization {
  return {
    authorization: named(name),
    networks: list(networks).map(({ cidr, except = [] }) => ({ cidr: String(cidr), except: except as string[] })),
    clients: clientsOf(clients),
  };
}

function portOf(port: Json): InboundPort {
  return {
    port: 80,
    protocol: 'detect',
    server: named('server'),
    authorizations: list(port['authorizations']).map(authorizationOf),
    routes: list(port['routes']).map(route => ({
      route: named(route['name']),
      matches: list(route['matches']).map(matchOf),
      authorizations: list(route['authorizations']).map(authorizationOf),
    })),
    unmatchedNotFound: port['unmatchedNotFound'] === true,
    audit: port['audit'] === true,
    maxRequests: 0,
    maxConnectionAgeMs: 0,
  };
}

function clientOf({ address, tls = 'none' }: Json): Client {
  if (tls === 'none' || tls === 'noIdentity') return { address: String(address), tls: { kind: tls } };
  const { spiffe, dns } = tls as { spiffe: string; dns?: string };
  return { address: String(address), tls: { kind: 'identity', spiffe, dns } };
}

describe('conformance/route.yaml', () => {
  const cases = read('route.yaml');
  it('has cases', () => expect(cases.length).toBeGreaterThan(10));

  it.each(cases.map(test => [String(test['name']), test] as const))('%s', (_, test) => {
    const routed = {
      kind: 'routed' as const,
      routes: list(test['routes']).map(route => ({
        route: named(route['name']),
        matches: list(route['matches']).map(matchOf),
        backends: list(route['backends']).map(backendOf),
        cedeUnavailable: route['cede'] === true,
      })),
      defaultBackends: list(test['default']).map(backendOf),
      policies: [],
    };
    const ready = test['ready'] as readonly string[] | undefined;
    const choice = selectRoute(routed, requestOf(test['request']), name => ready?.includes(name) ?? true);
    const shares = Object.fromEntries(choice.backends.map(({ backend, weight }) => [backend.name, weight]));
    expect({ ...(choice.route === undefined ? {} : { route: choice.route.route.name }), shares }).toEqual(test['want']);
  });
});

describe('conformance/policy.yaml', () => {
  const cases = read('policy.yaml');
  it('has cases', () => expect(cases.length).toBeGreaterThan(10));

  it.each(cases.map(test => [String(test['name']), test] as const))('%s', (_, test) => {
    const policies = list(test['policies']).map(policyOf);
    const request = requestOf(test['request']) as RequestHead;
    const selected = selectPolicy({ kind: 'routed', routes: [], defaultBackends: [], policies }, request);
    expect(selected === undefined ? {} : { rule: selected.rule }).toEqual(test['want']);
  });
});

describe('conformance/authorize.yaml', () => {
  const cases = read('authorize.yaml');
  it('has cases', () => expect(cases.length).toBeGreaterThan(10));

  it.each(cases.map(test => [String(test['name']), test] as const))('%s', (_, test) => {
    const client = test['client'] as Json;
    const decision = authorize(portOf(test['port'] as Json), {
      client: clientOf(client),
      podIps: (client['podIps'] ?? []) as string[],
      request: requestOf(test['request']),
    });
    expect(shown(decision)).toEqual(test['want']);
  });
});

function shown(decision: ReturnType<typeof authorize>): unknown {
  if (decision.kind === 'notFound') return { notFound: true };
  const route = decision.route === undefined ? {} : { route: decision.route.name };
  if (decision.kind === 'deny') return { deny: true, ...route };
  const { kind, name } = decision.authorization;
  return {
    allow: kind === 'default' ? `default/${name}` : name,
    ...route,
    ...(decision.audited ? { audited: true } : {}),
  };
}
