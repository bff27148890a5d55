import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeAddress, nodeRun, outsideAddress, outsideHostName } from '../cluster/index.ts';
import {
  apply,
  call,
  clientPod,
  clusterName,
  countingSent,
  eventually,
  getObject,
  kubectl,
  type KubernetesObject,
  podAddresses,
  podIp,
  runLoad,
  type Sent,
  sendDatagram,
  serverApp,
  service,
  startStranger,
  type Stranger,
  sumOf,
  waitAnswered,
  waitRollout,
  weftMetrics,
} from '../harness/index.ts';

// The table in docs/services.md, row by row: what each shape of a Service does for a pod with a proxy. Whether a call was mesh TLS is asked twice: the
// server tells which verified caller its own proxy named, and the client's proxy what it counted.
const namespace = `services-${Math.random().toString(36).slice(2, 6)}`;
const identity = (account: string): string => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
const metadataAddress = '169.254.169.254';
const strangers: Stranger[] = [];
let client = '';

interface Seen {
  readonly name: string;
  /** As the server's proxy verified it. */
  readonly caller: string | undefined;
}

async function ask(
  url: string,
  { app = 'client', http2 = false }: { app?: string; http2?: boolean } = {},
): Promise<Seen> {
  const { status, body, error, headers } = await call(namespace, app, { url, http2 });
  if (status !== 200) throw new Error(`${url}: ${status} ${headers['weft-error'] ?? ''} ${error ?? body}`);
  const echoed = JSON.parse(body) as { name: string; headers: Record<string, string> };
  return { name: echoed.name, caller: echoed.headers['weft-client-id'] };
}

type How = 'mesh TLS' | 'plain' | 'both' | 'neither';

function how({ requests, connections }: Sent): How {
  const [meshed, plain] = [requests.meshed + connections.meshed, requests.plain + connections.plain];
  if (meshed > 0) return plain > 0 ? 'both' : 'mesh TLS';
  return plain > 0 ? 'plain' : 'neither';
}

/** One request of the client, and how its proxy sent it. */
async function reached(url: string, options: { http2?: boolean } = {}): Promise<Seen & { how: How }> {
  const { value, sent } = await countingSent(client, async () => await ask(url, options));
  return { ...value, how: how(sent) };
}

const overMesh = (name: string) => ({ name, caller: identity('client'), how: 'mesh TLS' });
const inPlain = (name: string) => ({ name, caller: undefined, how: 'plain' });

/** Asks until all of `names` have answered, several at a time so that none is always the quickest; resolves with the caller that each of them saw. */
async function callersByName(url: string, names: readonly string[]): Promise<Record<string, string | undefined>> {
  const callers: Record<string, string | undefined> = {};
  for (let asked = 0; asked < 6 && Object.keys(callers).length < names.length; asked++) {
    const answers = await Promise.all(Array.from({ length: 6 }, async () => await ask(`${url}delay/300`)));
    for (const { name, caller } of answers) callers[name] = caller;
  }
  return callers;
}

const plainService = (name: string, spec: object): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
});

/** As people write them by hand for a Service without a selector. */
const slice = (of: string, endpoints: readonly object[], port = 8080): KubernetesObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${of}-by-hand`, namespace, labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port }],
  endpoints,
});

/** Two pods that say their own names. */
const statefulSet: KubernetesObject = (() => {
  const [deployment] = serverApp({ namespace, name: 'set', says: '$(POD_NAME)', replicas: 2 });
  const spec = structuredClone(deployment?.['spec']) as {
    template: { spec: { containers: Record<string, unknown>[] } };
  } & Record<string, unknown>;
  for (const container of spec.template.spec.containers)
    container['env'] = [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'set', namespace },
    spec: { ...spec, serviceName: 'set', podManagementPolicy: 'Parallel' },
  };
})();

/** A pod that is client and server at once. */
function both(): KubernetesObject[] {
  const [account, deployment] = clientPod({ namespace, name: 'both', serviceAccount: 'both' });
  const [server] = serverApp({ namespace, name: 'both' });
  if (account === undefined || deployment === undefined || server === undefined) throw new Error('no objects');
  const containers = (of: KubernetesObject): Record<string, unknown>[] =>
    (of['spec'] as { template: { spec: { containers: Record<string, unknown>[] } } }).template.spec.containers;
  containers(deployment).push(...containers(server).map(container => ({ ...container, name: 'server' })));
  return [account, deployment];
}

/** Never ready, yet it serves. */
function neverReady(): KubernetesObject[] {
  const objects = serverApp({ namespace, name: 'unready' });
  for (const object of objects) {
    const { template } = object['spec'] as { template: { spec: { containers: Record<string, unknown>[] } } };
    for (const container of template.spec.containers)
      container['readinessProbe'] = { httpGet: { path: '/status/500', port: 8080 }, periodSeconds: 1 };
  }
  return objects;
}

beforeAll(async () => {
  await nodeRun(clusterName, ['ip', 'address', 'replace', `${metadataAddress}/32`, 'dev', 'lo']);
  strangers.push(await startStranger('node', { name: 'metadata', address: metadataAddress, port: 80 }));
  strangers.push(await startStranger('outside', { name: 'outside', address: outsideAddress.ipv4, port: 8080 }));
  await apply(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, annotations: { 'weft.dev/inject': 'enabled' } },
    },
    service(namespace, 'web'),
    service(namespace, 'both'),
    ...serverApp({ namespace, name: 'web', labels: { tier: 'mixed', named: 'differently' } }),
    ...serverApp({ namespace, name: 'old', labels: { tier: 'mixed' }, meshed: false }),
    ...serverApp({ namespace, name: 'elsewhere', labels: { named: 'differently' }, httpPort: 8081 }),
    ...serverApp({ namespace, name: 'database' }),
    ...serverApp({ namespace, name: 'host', hostNetwork: true }),
    ...clientPod({ namespace, name: 'client', serviceAccount: 'client' }),
    ...both(),
    ...neverReady(),
    statefulSet,
    plainService('set', { clusterIP: 'None', selector: { app: 'set' }, ipFamilyPolicy: 'PreferDualStack' }),
    plainService('mixed', { selector: { tier: 'mixed' } }),
    plainService('named', { selector: { named: 'differently' } }),
    plainService('host', { selector: { app: 'host' } }),
    plainService('host-headless', { selector: { app: 'host' }, clusterIP: 'None' }),
    plainService('unready', { selector: { app: 'unready' }, publishNotReadyAddresses: true }),
    plainService('unready-hidden', { selector: { app: 'unready' } }),
    plainService('balanced', { selector: { app: 'web' }, type: 'LoadBalancer', externalIPs: ['203.0.113.11'] }),
    plainService('hinted', {
      selector: { app: 'web' },
      ports: [{ name: 'h2c', port: 80, targetPort: 'http', appProtocol: 'kubernetes.io/h2c' }],
    }),
    plainService('database', {
      selector: { app: 'database' },
      ports: [{ port: 80, targetPort: 'http', appProtocol: 'mysql' }],
    }),
    plainService('alias', { type: 'ExternalName', externalName: `web.${namespace}.svc.cluster.local`, ports: [] }),
    plainService('alias-outside', { type: 'ExternalName', externalName: outsideHostName, ports: [] }),
    plainService('by-hand', {}),
    plainService('near', { internalTrafficPolicy: 'Local' }),
    plainService('anywhere', {}),
  );
  await Promise.all(
    ['web', 'old', 'elsewhere', 'database', 'host', 'client', 'both'].map(name => waitRollout(namespace, name)),
  );
  await kubectl(['rollout', 'status', 'statefulset/set', '-n', namespace, '--timeout=120s'], { timeoutMs: 130_000 });
  client = await podIp(namespace, 'client');
  const [web, old] = [await podIp(namespace, 'web'), await podIp(namespace, 'old')];
  const here = { nodeName: clusterName };
  await apply(
    slice('by-hand', [{ addresses: [web] }, { addresses: [old] }, { addresses: [outsideAddress.ipv4] }]),
    slice('near', [
      { addresses: [old], nodeName: 'another' },
      { addresses: [web], ...here },
    ]),
    slice('anywhere', [
      { addresses: [old], nodeName: 'another' },
      { addresses: [web], ...here },
    ]),
  );
  const status = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: '203.0.113.10', ipMode: 'VIP' }] } } });
  await kubectl([
    'patch',
    'service',
    'balanced',
    '-n',
    namespace,
    '--subresource=status',
    '--type=merge',
    '-p',
    status,
  ]);
  for (const url of ['http://web/', 'http://by-hand/', 'http://near/', 'http://anywhere/', 'http://203.0.113.10/'])
    await waitAnswered(namespace, 'client', url);
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
  for (const stranger of strangers) await stranger.stop();
  await nodeRun(clusterName, ['ip', 'address', 'delete', `${metadataAddress}/32`, 'dev', 'lo']);
});

describe('a Service with a cluster IP', () => {
  it('is mesh TLS for HTTP, gRPC, bytes and a server that speaks first', async () => {
    expect(await reached('http://web/')).toEqual(overMesh('web'));
    for (const [protocol, target] of [
      ['grpc', 'web:9090'],
      ['tcp', 'web:7000'],
      ['banner', 'web:7025'],
    ] as const) {
      const { value, sent } = await countingSent(
        client,
        async () => await runLoad(namespace, 'client', { protocol, target, count: 5, durationMs: 20_000 }),
      );
      expect(value, JSON.stringify(value.errors)).toMatchObject({ answered: 5, failed: 0 });
      expect(how(sent), protocol).toBe('mesh TLS');
    }
  });

  it('refuses a port that it does not declare at once, and says why', async () => {
    const refused = async (): Promise<number> =>
      sumOf(await weftMetrics(client), 'outbound_refused_total', { reason: 'refused_destination' });
    const before = await refused();
    const started = performance.now();
    const { status } = await call(namespace, 'client', { url: 'http://web:81/' });
    expect(status).toBe(0);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(await refused()).toBe(before + 1);
    const config = await nodeRun(clusterName, ['curl', '-sS', '--max-time', '5', `http://${client}:4191/config`]);
    expect(config).toContain(`Service ${namespace}/web has no port 81`);
  });

  it('sends to what each pod means by the name of a target port', async () => {
    const callers = await callersByName('http://named/', ['web', 'elsewhere']);
    expect(callers).toEqual({ web: identity('client'), elsewhere: identity('client') });
  });

  it('is mesh TLS to the pods that have a proxy and plain to the others', async () => {
    const callers = await callersByName('http://mixed/', ['web', 'old']);
    expect(callers).toEqual({ web: identity('client'), old: undefined });
  });

  it('is read as its appProtocol says', async () => {
    expect(await reached('http://hinted/', { http2: true })).toEqual(overMesh('web'));
    // Bytes, so nobody looks for requests in them and no header names the caller; mesh TLS all the same.
    const { value, sent } = await countingSent(client, async () => await ask('http://database/'));
    expect(value).toEqual({ name: 'database', caller: undefined });
    expect(sent).toEqual({ requests: { meshed: 0, plain: 0 }, connections: { meshed: 1, plain: 0 } });
  });

  it('with internalTrafficPolicy Local never leaves the node; without it it does', async () => {
    expect(await callersByName('http://near/', ['web', 'old'])).toEqual({ web: identity('client') });
    expect(await callersByName('http://anywhere/', ['web', 'old'])).toEqual({
      web: identity('client'),
      old: undefined,
    });
  });

  it('with publishNotReadyAddresses reaches pods that are not ready; without it nobody', async () => {
    await eventually('the pod runs', async () => (await podAddresses(namespace, 'app=unready')).length === 1);
    await waitAnswered(namespace, 'client', 'http://unready/');
    expect(await reached('http://unready/')).toEqual(overMesh('unready'));
    const { status, headers } = await call(namespace, 'client', { url: 'http://unready-hidden/' });
    expect([status, headers['weft-error']]).toEqual([503, 'no-endpoint']);
  });
});

describe('a pod', () => {
  it('of a StatefulSet is reached by its own name, and the headless Service at one of them', async () => {
    for (const pod of ['set-0', 'set-1'])
      expect(await reached(`http://${pod}.set.${namespace}.svc:8080/`)).toEqual(overMesh(pod));
    const { value } = await countingSent(client, async () => await ask('http://set:8080/'));
    expect(['set-0', 'set-1']).toContain(value.name);
    expect(value.caller).toBe(identity('client'));
  });

  it('is reached by its address: mesh TLS with a proxy, plain without', async () => {
    expect(await reached(`http://${await podIp(namespace, 'web')}:8080/`)).toEqual(overMesh('web'));
    expect(await reached(`http://${await podIp(namespace, 'old')}:8080/`)).toEqual(inPlain('old'));
  });

  it('calls its own Service through the mesh, and itself straight', async () => {
    await waitAnswered(namespace, 'both', 'http://both/');
    const address = await podIp(namespace, 'both');
    const hairpin = await countingSent(address, async () => await ask('http://both/', { app: 'both' }));
    expect(hairpin.value).toEqual({ name: 'both', caller: identity('both') });
    expect(hairpin.sent.requests).toEqual({ meshed: 1, plain: 0 });
    for (const host of ['127.0.0.1', address])
      expect(await ask(`http://${host}:8080/`, { app: 'both' })).toEqual({ name: 'both', caller: undefined });
  });

  it('answers UDP as if there were no mesh', async () => {
    const address = await podIp(namespace, 'web');
    expect(await sendDatagram(namespace, 'client', `${address}:7053`, 'ping')).toBe('web ping');
  });

  it('on the network of its node is reached in plain, and calls in plain', async () => {
    expect(await reached('http://host/')).toEqual(inPlain('host'));
    expect(await reached('http://host-headless:18080/')).toEqual(inPlain('host'));
    const web = await getObject<{ spec: { clusterIP: string } }>('service', 'web', namespace);
    // A process in the network of the node is what such a pod is.
    for (const url of [`http://${web.spec.clusterIP}/`, `http://${await podIp(namespace, 'web')}:8080/`]) {
      const body = await nodeRun(clusterName, ['curl', '-sS', '--fail', '--max-time', '10', url]);
      const seen = JSON.parse(body) as { name: string; headers: Record<string, string> };
      expect([seen.name, seen.headers['weft-client-id']]).toEqual(['web', undefined]);
    }
  });
});

describe('other addresses', () => {
  it('of a load balancer and external ones are the Service, on its ports only', async () => {
    expect(await reached('http://203.0.113.10/')).toEqual(overMesh('web'));
    expect(await reached('http://203.0.113.11/')).toEqual(overMesh('web'));
    const { sent } = await countingSent(
      client,
      async () => await call(namespace, 'client', { url: 'http://203.0.113.10:81/' }),
    );
    expect(sent.requests.meshed + sent.connections.meshed).toBe(0);
  });

  it('of a node with a node port are plain', async () => {
    const balanced = await getObject<{ spec: { ports: { nodePort: number }[] } }>('service', 'balanced', namespace);
    expect(await reached(`http://${nodeAddress.ipv4}:${balanced.spec.ports[0]?.nodePort ?? 0}/`)).toEqual(
      inPlain('web'),
    );
  });

  it('behind an ExternalName are what the name stands for', async () => {
    expect(await reached('http://alias/')).toEqual(overMesh('web'));
    expect(await reached('http://alias-outside:8080/')).toEqual(inPlain('outside'));
  });

  it('written by hand are mesh TLS where a pod with a proxy has them, else plain', async () => {
    const callers = await callersByName('http://by-hand/', ['web', 'old', 'outside']);
    expect(callers).toEqual({ web: identity('client'), old: undefined, outside: undefined });
  });

  it('outside the cluster are plain', async () => {
    expect(await reached(`http://${outsideAddress.ipv4}:8080/`)).toEqual(inPlain('outside'));
  });

  it('of the metadata service are plain', async () => {
    expect(await reached(`http://${metadataAddress}/`)).toEqual(inPlain('metadata'));
  });

  it("of the API server carry the application's own TLS", async () => {
    const { value, sent } = await countingSent(
      client,
      async () => await call(namespace, 'client', { url: 'https://kubernetes.default/version', insecure: true }),
    );
    expect(value.status, value.error).toBe(200);
    expect(value.body).toContain('gitVersion');
    expect(sent).toEqual({ requests: { meshed: 0, plain: 0 }, connections: { meshed: 0, plain: 1 } });
  });
});

describe('IPv6', () => {
  it('is the same: a cluster IP, a pod, a pod of a StatefulSet, the own Service', async () => {
    const sixth = (addresses: readonly string[]): string => addresses.find(address => address.includes(':')) ?? 'none';
    const clusterIp = async (name: string): Promise<string> => {
      const { spec } = await getObject<{ spec: { clusterIPs: string[] } }>('service', name, namespace);
      return sixth(spec.clusterIPs);
    };
    const [web] = await podAddresses(namespace, 'app=web');
    const set = await podAddresses(namespace, 'app=set');
    expect(await reached(`http://[${await clusterIp('web')}]/`)).toEqual(overMesh('web'));
    expect(await reached(`http://[${sixth(web?.ips ?? [])}]:8080/`)).toEqual(overMesh('web'));
    const second = set.find(({ name }) => name === 'set-1');
    expect(await reached(`http://[${sixth(second?.ips ?? [])}]:8080/`)).toEqual(overMesh('set-1'));
    expect(await ask(`http://[${await clusterIp('both')}]/`, { app: 'both' })).toEqual({
      name: 'both',
      caller: identity('both'),
    });
  });
});
