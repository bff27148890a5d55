// The floor: a bare node:http2 server on the same TLS that watches the same objects and writes the same bytes to the same clients, and does nothing
// else. What the operator takes beyond it is what it does with a change.
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { createIdentity, issueIntermediate, makeCa } from '../../src/identity/index.ts';
import { silentLogger } from '../../src/runtime/index.ts';
import { createApiClient } from '../../src/kube/index.ts';
import { nowMs } from './clock.ts';
import type { Ask } from './worker-methods.ts';

const streams = new Set<ServerHttp2Stream>();
let message: Buffer = Buffer.alloc(0);
let acks = 0;
let wantedAcks = 0;
let ackedMs = 0;

function framed(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([head, bytes]);
}

function push(): void {
  for (const stream of streams) stream.write(message);
}

async function listen(): Promise<{ readonly port: number; readonly rootPem: string }> {
  const made = { nowMs: Date.now(), validForMs: 86_400_000 };
  const root = await makeCa({ commonName: 'floor', ...made });
  const leaf = await issueServerLeaf(root);
  const server = createSecureServer({ ...leaf, minVersion: 'TLSv1.3', settings: { enablePush: false } });
  server.on('stream', stream => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    streams.add(stream);
    stream.on('data', () => {
      // Since the last load() nothing but acknowledgements comes.
      acks += 1;
      if (acks === wantedAcks) ackedMs = nowMs();
    });
    stream.on('error', () => undefined);
    stream.once('close', () => streams.delete(stream));
  });
  await new Promise<void>(resolve => server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, resolve));
  return { port: (server.address() as AddressInfo).port, rootPem: root.certificatePem };
}

async function issueServerLeaf(root: Awaited<ReturnType<typeof makeCa>>) {
  const issuer = await issueIntermediate(root, {
    commonName: 'floor issuer',
    nowMs: Date.now(),
    validForMs: 86_400_000,
    pathLength: 0,
  });
  const identity = createIdentity({
    clock: { nowMs: () => Date.now() },
    log: silentLogger,
    controlNamespace: 'weft-system',
    account: { namespace: 'weft-system', serviceAccount: 'weft-operator' },
  });
  const made = new Promise<void>(resolve => identity.own.onChange(() => resolve()));
  identity.issuers.update([
    {
      mesh: 'default',
      trustDomain: 'scale.example',
      leafDurationMs: 86_400_000,
      extraAnchorsPem: [],
      issuer: {
        name: 'weft-issuer-default-1',
        certificatePem: issuer.certificatePem,
        privateKeyPem: issuer.privateKeyPem,
        caPem: root.certificatePem,
      },
    },
  ]);
  await made;
  const leaf = identity.own.get('default');
  identity.close();
  if (leaf === undefined) throw new Error('the floor has no certificate');
  return { cert: leaf.certificatePem, key: leaf.privateKeyPem };
}

/** Pushes whenever the API server tells of a change below the path. */
async function watch(kubeconfig: string, path: string): Promise<void> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfig);
  const client = createApiClient({ kubeConfig, userAgent: 'floor' });
  const { signal } = new AbortController();
  const list = (await client.request({ method: 'GET', path, signal })) as { metadata: { resourceVersion: string } };
  const query = { resourceVersion: list.metadata.resourceVersion, allowWatchBookmarks: false };
  const accepted = Promise.withResolvers<void>();
  void client.watch({ path, query, signal, onLine: push, onActivity: () => accepted.resolve(), idleMs: 3_600_000 });
  await accepted.promise;
}

const methods: Readonly<Record<string, (params: never) => Promise<unknown>>> = {
  listen: () => listen(),
  watch: ({ kubeconfig, path }: { kubeconfig: string; path: string }) => watch(kubeconfig, path),
  /** What to push from now on. */
  load: ({ bytes }: { bytes: string }) => {
    message = framed(Buffer.from(bytes, 'base64'));
    acks = 0;
    wantedAcks = streams.size;
    ackedMs = 0;
    return Promise.resolve(streams.size);
  },
  result: async () => {
    const endMs = nowMs() + 30_000;
    const isDone = (): boolean => ackedMs > 0 || nowMs() > endMs;
    while (!isDone()) await new Promise(resolve => setTimeout(resolve, 5));
    return { ackedMs, acks };
  },
};

process.on('message', (ask: Ask) => {
  const method = methods[ask.method] as ((params: unknown) => Promise<unknown>) | undefined;
  (method?.(ask.params) ?? Promise.reject(new Error(`no method ${ask.method}`))).then(
    result => process.send?.({ id: ask.id, result }),
    (error: unknown) => process.send?.({ id: ask.id, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
