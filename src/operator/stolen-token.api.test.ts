// What a stolen token, or a pod in the wrong hands, obtains from the real endpoints: its own identity and its own configuration, nothing else. The tokens
// are those of a real API server, which alone judges them.
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { tokenKeyPath } from '../../e2e/cluster/index.ts';
import { CONFIG_SERVICE, IDENTITY_SERVICE } from '../configserver/grpc-server.ts';
import { MESSAGE_BYTES } from '../configserver/message-bound.ts';
import { connectProxy, type TestProxy } from '../configserver/testing/proxy.ts';
import { CertifyRequestSchema, CertifyResponseSchema } from '../gen/weft/identity/v1/identity_pb.ts';
import { aCsr } from '../identity/testing.ts';
import { operatorServerName } from '../identity/index.ts';
import type { RawObject } from '../kube/index.ts';
import { eventually, startTestApi, stopTestApis, type TestApi } from '../kube/testing/api-server.ts';
import { silentLogger } from '../runtime/index.ts';
import { createPromMetrics } from '../telemetry/index.ts';
import { type RunningOperator, startOperator } from './operator.ts';
import { parseOptions } from './options.ts';

const NAME = 'stolen-token-test';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const MESHES = '/apis/weft.dev/v1alpha1/meshconfigs';
const MESH_OF = { east: 'east.test', west: 'west.test' } as const;

type MeshName = keyof typeof MESH_OF;

interface Thief {
  readonly token: string;
  readonly mesh?: MeshName;
}

interface Leaf {
  readonly code: status;
  readonly details: string;
  readonly identity: string;
  /** SANs. */
  readonly names: string;
}

/** Status of an answer; whose certificate it comes under is the matter of other tests. */
function askOperatorApi(port: number, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path: '/v1/status',
      agent: false,
      rejectUnauthorized: false,
      headers: { authorization: `Bearer ${token}` },
    };
    const outgoing = request(options, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}

describe('who holds the token of a pod', () => {
  let api: TestApi;
  let operator: RunningOperator;
  const roots = new Map<MeshName, string>();
  const pods = new Map<string, RawObject>();

  const pathOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

  async function addPod(namespace: string, name: string, mesh: MeshName): Promise<RawObject> {
    const metadata = { name, labels: { app: name, 'weft.dev/proxy': mesh } };
    const containers = [{ name: 'app', image: 'none', ports: [{ containerPort: 8080 }] }];
    const spec = { serviceAccountName: name, containers };
    const pod = await api.post(pathOf(namespace), { apiVersion: 'v1', kind: 'Pod', metadata, spec });
    pods.set(`${namespace}/${name}`, pod);
    return pod;
  }

  /** As the kubelet asks for it. */
  async function tokenOf(
    pod: string,
    { audience = 'weft.dev', bound = true }: { readonly audience?: string; readonly bound?: boolean } = {},
  ): Promise<string> {
    const [namespace = '', name = ''] = pod.split('/');
    const uid = pods.get(pod)?.metadata.uid;
    const boundObjectRef = bound ? { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } } : {};
    const answer = await api.post(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [audience], expirationSeconds: 600, ...boundObjectRef },
    });
    return (answer['status'] as { token: string }).token;
  }

  /** The same claims with another end, signed with the cluster's own key. */
  async function tokenEnding(token: string, endSeconds: number): Promise<string> {
    const [header = '', claims = ''] = token.split('.');
    const decoded = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
    const body = Buffer.from(JSON.stringify({ ...decoded, exp: endSeconds })).toString('base64url');
    const key = createPrivateKey(await readFile(tokenKeyPath(NAME)));
    const parts = `${header}.${body}`;
    const signature = sign('sha256', Buffer.from(parts), { key, dsaEncoding: 'ieee-p1363' });
    return `${parts}.${signature.toString('base64url')}`;
  }

  const clientFor = (mesh: MeshName): Client =>
    new Client(`127.0.0.1:${operator.ports.config}`, credentials.createSsl(Buffer.from(roots.get(mesh) ?? '')), {
      'grpc.ssl_target_name_override': operatorServerName(mesh),
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
    });

  function certify({ token, mesh = 'east' }: Thief, csr: Uint8Array): Promise<Leaf> {
    const client = clientFor(mesh);
    const { path, requestSerialize, responseDeserialize } = IDENTITY_SERVICE.certify;
    const message = create(CertifyRequestSchema, { csr, serviceAccountToken: token });
    const request = Buffer.from(toBinary(CertifyRequestSchema, message));
    return new Promise(resolve => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
        client.close();
        const { identity, chain } = fromBinary(CertifyResponseSchema, answer ?? new Uint8Array());
        const names = chain[0] === undefined ? '' : (new X509Certificate(chain[0]).subjectAltName ?? '');
        resolve({ code: error?.code ?? status.OK, details: error?.details ?? '', identity, names });
      });
    });
  }

  const open = ({ token, mesh = 'east' }: Thief): TestProxy => {
    const root = { certificatePem: roots.get(mesh) ?? '' } as Parameters<typeof connectProxy>[0]['root'];
    return connectProxy({ port: operator.ports.config, root, token, serverName: operatorServerName(mesh) });
  };

  /** What both services answer. */
  async function answers(thief: Thief): Promise<{ readonly certify: status; readonly stream: status }> {
    const csr = await aCsr();
    const [leaf, ended] = await Promise.all([certify(thief, csr.der), open(thief).ended]);
    return { certify: leaf.code, stream: ended.code };
  }

  /** The workload that a stream is told it is. */
  async function workloadOf(thief: Thief): Promise<unknown> {
    const stream = open(thief);
    try {
      const message = await stream.message(0);
      const { kind, name } = message as { readonly kind: string; readonly name?: string };
      expect([kind, name]).toEqual(['upsert', 'workload']);
      return message;
    } finally {
      stream.close();
    }
  }

  beforeAll(async () => {
    api = await startTestApi(NAME);
    const folder = join(import.meta.dirname, '../../crds');
    for (const file of await readdir(folder)) await api.post(CRDS, parse(await readFile(join(folder, file), 'utf8')));
    for (const name of ['weft-system', 'demo', 'other'])
      await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await eventually('the definitions are served', () =>
      api.get(MESHES).then(
        () => true,
        () => false,
      ),
    );
    for (const [name, trustDomain] of Object.entries(MESH_OF)) {
      const spec = { trustDomain, identity: { mode: 'SelfManaged' } };
      await api.post(MESHES, { apiVersion: 'weft.dev/v1alpha1', kind: 'MeshConfig', metadata: { name }, spec });
    }
    for (const [namespace, name, mesh] of [
      ['demo', 'web', 'east'],
      ['demo', 'db', 'east'],
      ['demo', 'gone', 'east'],
      ['other', 'web', 'west'],
    ] as const) {
      const metadata = { name };
      await api.post(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata,
      });
      await addPod(namespace, name, mesh);
    }
    const flags = [
      '--config-port=0',
      '--webhook-port=0',
      '--api-port=0',
      '--query-port=0',
      '--admin-port=0',
      '--peers-port=0',
    ];
    const parsed = parseOptions(flags, {});
    if (!parsed.ok || parsed.value.kind !== 'run') throw new Error('the options do not parse');
    operator = await startOperator({
      options: parsed.value.options,
      kubeConfig: api.kubeConfig,
      clock: { nowMs: () => Date.now() },
      log: silentLogger,
      metrics: createPromMetrics({ processMetrics: false }),
      random: Math.random,
    });
    await eventually('the operator is ready', () => operator.readiness.ready);
    for (const mesh of Object.keys(MESH_OF) as MeshName[]) {
      const secret = `/api/v1/namespaces/weft-system/secrets/weft-root-${mesh}`;
      await eventually(`mesh ${mesh} has its root`, async () => {
        const found = await api.get(secret).catch(() => undefined);
        const pem = (found?.['data'] as Record<string, string> | undefined)?.['tls.crt'];
        if (pem !== undefined) roots.set(mesh, Buffer.from(pem, 'base64').toString());
        return pem !== undefined;
      });
      const [pod] = mesh === 'east' ? ['demo/web'] : ['other/web'];
      const token = await tokenOf(pod ?? '');
      await eventually(`mesh ${mesh} certifies`, async () => {
        const leaf = await certify({ token, mesh }, (await aCsr()).der);
        return leaf.code === status.OK;
      });
    }
  });

  afterAll(() => stopTestApis(() => operator.stop('test')));

  it('gets the identity and the configuration of that pod', async () => {
    const token = await tokenOf('demo/web');
    const leaf = await certify({ token }, (await aCsr()).der);
    expect(leaf).toMatchObject({ code: status.OK, identity: 'spiffe://east.test/ns/demo/sa/web' });
    expect(await workloadOf({ token })).toMatchObject({
      body: { workload: { namespace: 'demo', pod: 'web', identity: 'spiffe://east.test/ns/demo/sa/web' } },
    });
  });

  it('gets its own names whatever names the request for a certificate has', async () => {
    const csr = await aCsr([
      'spiffe://east.test/ns/demo/sa/db',
      'db.demo.serviceaccount.identity.weft-system.east.test',
    ]);
    const leaf = await certify({ token: await tokenOf('demo/web') }, csr.der);
    expect(leaf.identity).toBe('spiffe://east.test/ns/demo/sa/web');
    expect(leaf.names).toBe(
      'URI:spiffe://east.test/ns/demo/sa/web, DNS:web.demo.serviceaccount.identity.weft-system.east.test',
    );
  });

  it('cannot ask for the inbound policy of another workload, because there is no name for it', async () => {
    const stream = open({ token: await tokenOf('demo/web') });
    await stream.message(1);
    stream.send({ kind: 'subscribe', names: ['workload/demo/db', 'workload/db', 'demo/db/workload', 'workload'] });
    stream.send({ kind: 'subscribe', names: ['outbound/203.0.113.9:80'] });
    // What comes last was asked for last: everything before it is answered by then.
    await eventually('the last name is answered', () => stream.received.some(({ kind }) => kind === 'remove'));
    stream.close();
    const told = JSON.stringify(stream.received, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(told).toContain('spiffe://east.test/ns/demo/sa/web');
    expect(told).not.toContain('sa/db');
  });

  it('of another mesh gets nothing under the name of this one', async () => {
    const token = await tokenOf('other/web');
    const refused = { certify: status.PERMISSION_DENIED, stream: status.PERMISSION_DENIED };
    expect(await answers({ token, mesh: 'east' })).toEqual(refused);
    const leaf = await certify({ token, mesh: 'west' }, (await aCsr()).der);
    expect(leaf.identity).toBe('spiffe://west.test/ns/other/sa/web');
  });

  const unauthenticated = { certify: status.UNAUTHENTICATED, stream: status.UNAUTHENTICATED };

  it('that was made for somebody else gets nothing', async () => {
    const defaultAudience = 'https://kubernetes.default.svc.cluster.local';
    for (const audience of [defaultAudience, 'vault', 'weft.dev.example'])
      expect(await answers({ token: await tokenOf('demo/web', { audience }) }), audience).toEqual(unauthenticated);
  });

  it('that is bound to no pod gets nothing', async () => {
    expect(await answers({ token: await tokenOf('demo/web', { bound: false }) })).toEqual(unauthenticated);
  });

  it('that has ended gets nothing', async () => {
    const token = await tokenOf('demo/web');
    const now = Math.floor(Date.now() / 1_000);
    // Signed by the same hand, the one that has not ended is good.
    const live = await certify({ token: await tokenEnding(token, now + 300) }, (await aCsr()).der);
    expect(live.code).toBe(status.OK);
    expect(await answers({ token: await tokenEnding(token, now - 300) })).toEqual(unauthenticated);
  });

  it('whose signature was made by another key gets nothing', async () => {
    const [header, claims, signature = ''] = (await tokenOf('demo/web')).split('.');
    const spoilt = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(await answers({ token: `${header}.${claims}.${spoilt}` })).toEqual(unauthenticated);
    const forged = Buffer.from(claims ?? '', 'base64url')
      .toString()
      .replace('"web"', '"db"')
      .replace(':web', ':db');
    const renamed = Buffer.from(forged).toString('base64url');
    expect(await answers({ token: `${header}.${renamed}.${signature}` })).toEqual(unauthenticated);
  });

  it('of a pod that is gone gets nothing, also when a pod of the same name has come since', async () => {
    const unseen = await tokenOf('demo/gone');
    const seen = await tokenOf('demo/gone');
    expect((await certify({ token: seen }, (await aCsr()).der)).code).toBe(status.OK);
    await api.client.request({
      method: 'DELETE',
      path: `${pathOf('demo')}/gone`,
      query: { gracePeriodSeconds: 0 },
      signal: new AbortController().signal,
    });
    expect(await answers({ token: unseen })).toEqual(unauthenticated);
    await addPod('demo', 'gone', 'east');
    const heir = await tokenOf('demo/gone');
    await eventually('the new pod is certified', async () => {
      const leaf = await certify({ token: heir }, (await aCsr()).der);
      return leaf.code === status.OK;
    });
    expect(await answers({ token: unseen })).toEqual(unauthenticated);
    // The answer of the API server about this one is remembered; that the pod is another one is seen without it.
    const { certify: leaf, stream } = await answers({ token: seen });
    expect([leaf, stream].every(code => code === status.PERMISSION_DENIED || code === status.UNAUTHENTICATED)).toBe(
      true,
    );
  });

  it('gets the same from any address: a token is not bound to one, only to its pod and its end', async () => {
    // Two connections from different ports; the server never sees the pod's own address here at all.
    const token = await tokenOf('demo/web');
    const leaves = await Promise.all([1, 2].map(async () => await certify({ token }, (await aCsr()).der)));
    expect(leaves.map(({ identity }) => identity)).toEqual(Array(2).fill('spiffe://east.test/ns/demo/sa/web'));
  });

  it('may not ask the operator API anything: that takes a token for the API server', async () => {
    const ask = async (token: string): Promise<number> => await askOperatorApi(operator.ports.api, token);
    expect(await ask(await tokenOf('demo/web'))).toBe(401);
    // Control: a token for the API server says who calls, and that one may ask nothing.
    expect(await ask(await tokenOf('demo/web', { audience: 'https://kubernetes.default.svc.cluster.local' }))).toBe(
      403,
    );
  });

  it('cannot make the operator hold more than its bounds', async () => {
    const token = await tokenOf('demo/web');
    const oversized = await certify({ token }, new Uint8Array(MESSAGE_BYTES + 1));
    expect(oversized.code).toBe(status.RESOURCE_EXHAUSTED);
    // A message of a size that is read is not yet a request of a size that is looked into.
    expect((await certify({ token }, new Uint8Array(5 * 1024 * 1024))).code).toBe(status.INVALID_ARGUMENT);

    const many = open({ token });
    await many.message(0);
    const names = Array.from({ length: 26_000 }, (_, index) => `outbound/10.0.${index >> 8}.${index & 255}:80`);
    many.send({ kind: 'subscribe', names });
    expect(await many.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });

    const long = open({ token });
    await long.message(0);
    long.send({ kind: 'subscribe', names: ['x'.repeat(600)] });
    expect(await long.ended).toMatchObject({ code: status.INVALID_ARGUMENT });

    // A stream on which nothing is ever said.
    const client = clientFor('east');
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = CONFIG_SERVICE.stream;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    call.on('error', () => undefined);
    call.resume();
    const ended = await new Promise<{ code: status }>(resolve => call.once('status', resolve));
    expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
    client.close();

    // And all the while others are served.
    expect((await certify({ token }, (await aCsr()).der)).code).toBe(status.OK);
  }, 60_000);
});
