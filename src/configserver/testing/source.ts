// For tests: a source whose content is set by hand, and resources with sane defaults.
import { type ObjectKey, contentHash, podKey } from '../../kernel/index.ts';
import type { ConfigSource, Endpoint, Resource, ResourceBody, Who } from '../../model/index.ts';

export function aWho(pod: string, mesh = 'default', node = 'n1'): Who {
  return { view: { mesh, namespace: 'demo', zone: '', node }, podKey: podKey('demo', pod), podUid: `uid-${pod}` };
}

export interface TestSource extends ConfigSource {
  readonly pods: Map<ObjectKey, Who>;
  /** By name; `workload` of any pod unless `workload <pod key>` is set. */
  readonly resources: Map<string, Resource>;
  /** How often a resource was asked for. */
  readonly asked: { count: number };
  publish(): void;
}

export function aSource(pods: readonly Who[] = []): TestSource {
  const listeners = new Set<() => void>();
  const known = new Map(pods.map(who => [who.podKey, who]));
  const resources = new Map<string, Resource>();
  const asked = { count: 0 };
  let generation = 1;
  for (const resource of [aResource('workload', 'w1'), aResource('trust', 't1')])
    resources.set(resource.name, resource);
  return {
    pods: known,
    resources,
    asked,
    resource: (who, name) => {
      asked.count += 1;
      return resources.get(`${name} ${who.podKey}`) ?? resources.get(name);
    },
    changed: () => true,
    view: key => known.get(key),
    onPublish: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get generation() {
      return generation;
    },
    publish: () => {
      generation += 1;
      for (const listener of listeners) listener();
    },
  };
}

/** Something of the right kind for the name, whose content (and so whose version) is told apart by `text`. */
export function aResource(name: string, text: string, derivedFrom: readonly ObjectKey[] = []): Resource {
  return resourceOf(name, bodyOf(name, text), derivedFrom);
}

export function someEndpoints(name: string, endpoints: readonly Partial<Endpoint>[]): Resource {
  const full = endpoints.map(anEndpoint);
  return resourceOf(name, { kind: 'endpoints', endpoints: { endpoints: full, balancing: undefined } }, []);
}

/** An outbound resource that names endpoints resources. */
export function anOutbound(name: string, text: string, endpoints: readonly string[]): Resource {
  const backends = endpoints.map(target => ({
    weight: 1,
    backend: aRef(text),
    target: { kind: 'endpoints' as const, name: target },
    labels: [],
  }));
  const target = { kind: 'routed' as const, routes: [], defaultBackends: backends, policies: [] };
  return resourceOf(
    name,
    { kind: 'outbound', outbound: { destination: aRef(text), protocol: 'detect', target, labels: [] } },
    [],
  );
}

function resourceOf(name: string, body: ResourceBody, derivedFrom: readonly ObjectKey[]): Resource {
  return { name, version: contentHash(body), derivedFrom: derivedFrom.map(key => ({ key, generation: 1 })), body };
}

const aRef = (name: string) => ({ group: '', kind: 'Service', namespace: 'demo', name, port: 80 });

function anEndpoint(overrides: Partial<Endpoint>): Endpoint {
  const base = {
    address: '10.0.0.1',
    port: 8080,
    podUid: 'u',
    identity: '',
    transport: 'plain',
    zone: '',
    labels: [],
  } as const;
  return { ...base, ...overrides };
}

function bodyOf(name: string, text: string): ResourceBody {
  if (name === 'trust')
    return {
      kind: 'trust',
      trust: {
        domains: [{ mesh: 'default', trustDomain: text, anchors: [] }],
        issuer: 'weft-issuer-default-1',
        renewWithinMs: 0,
      },
    };
  if (name.startsWith('endpoints/'))
    return { kind: 'endpoints', endpoints: { endpoints: [anEndpoint({ podUid: text })], balancing: undefined } };
  if (name.startsWith('outbound/')) {
    const target = { kind: 'refused' as const, reason: text };
    return { kind: 'outbound', outbound: { destination: aRef('web'), protocol: 'detect', target, labels: [] } };
  }
  const defaultPort = {
    port: 0,
    protocol: 'detect',
    server: aRef('any'),
    authorizations: [],
    routes: [],
    unmatchedNotFound: false,
    audit: false,
    maxRequests: 0,
    maxConnectionAgeMs: 0,
  } as const;
  const workload = {
    mesh: 'default',
    namespace: 'demo',
    pod: text,
    podUid: 'u',
    identity: '',
    labels: [],
    ports: [],
    defaultPort,
  } as const;
  const rest = {
    inboundPorts: [],
    unknownDestination: 'passThrough',
    accessLog: 'off',
    logLevel: '',
    podIps: [],
    detectTimeoutMs: 0,
    forwardedFor: false,
    applicationEnded: false,
  } as const;
  return { kind: 'workload', workload: { ...workload, ...rest } };
}
