import { request } from 'node:https';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type KeyedCertificate, issueServerCertificate, makeCa } from '../identity/index.ts';
import { AppError, type Problem, objectKey } from '../kernel/index.ts';
import { recordingLogger, recordingMetrics } from '../runtime/recording.ts';
import { type WebhookServer, type WebhookServerOptions, createWebhookServer } from './index.ts';
import { aMesh, aNamespace, injectOptions } from './inject/testing.ts';

const HOUR_MS = 3_600_000;
const problem = (severity: Problem['severity'], message: string): Problem => ({
  object: objectKey({ group: 'policy.linkerd.io', kind: 'Server', namespace: 'demo', name: 'web' }),
  path: 'spec.port',
  reason: 'Invalid',
  message,
  severity,
});

function review(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  const pod = { metadata: { name: 'web' }, spec: { containers: [{ name: 'web', image: 'web:1' }] } };
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  const asked = { uid: 'u-1', kind, operation: 'CREATE', namespace: 'demo', name: 'web', object: pod, ...overrides };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: asked };
}

const server = (overrides: Partial<WebhookServerOptions> = {}) => {
  const log = recordingLogger();
  const metrics = recordingMetrics();
  const webhooks = createWebhookServer({
    injectOptions: () => injectOptions(),
    namespace: name => Promise.resolve(name === 'gone' ? undefined : aNamespace({ name })),
    mesh: namespace => (namespace.labels['weft.dev/mesh'] === 'missing' ? undefined : aMesh()),
    validateObject: () => [],
    normaliseTrafficSplit: () => [],
    certificate: { current: () => undefined, onChange: () => () => undefined },
    clock: { nowMs: () => 0 },
    log,
    metrics,
    ...overrides,
  });
  const ask = async (path: string, body: unknown) => {
    const { status, body: answer } = await webhooks.handle(path, body, new AbortController().signal);
    return { status, response: (answer as { response?: Record<string, unknown> }).response ?? {}, answer };
  };
  return { webhooks, ask, log, metrics };
};

describe('admission', () => {
  it.each(['/inject', '/mutate/pods'])('%s answers with the uid and a JSON patch', async path => {
    const { ask, metrics } = server();
    const { status, response } = await ask(path, review());
    expect([status, response['uid'], response['allowed'], response['patchType']]).toEqual([
      200,
      'u-1',
      true,
      'JSONPatch',
    ]);
    const patch = JSON.parse(Buffer.from(String(response['patch']), 'base64').toString()) as { path: string }[];
    expect(patch.map(operation => operation.path)).toContain('/spec/initContainers');
    expect(metrics.value('weft_webhook_injections_total', { result: 'Injected' })).toBe(1);
  });

  it('only pods that are made are injected', async () => {
    const { ask } = server();
    const update = await ask('/inject', review({ operation: 'UPDATE' }));
    const service = await ask('/inject', review({ kind: { group: '', version: 'v1', kind: 'Service' } }));
    expect([update.response, service.response]).toEqual([
      { uid: 'u-1', allowed: true },
      { uid: 'u-1', allowed: true },
    ]);
  });

  it('a namespace whose mesh does not exist gets a warning, not a refusal', async () => {
    const { ask } = server({
      namespace: name => Promise.resolve(aNamespace({ name, labels: { 'weft.dev/mesh': 'missing' } })),
    });
    const { response } = await ask('/inject', review());
    expect(response).toEqual({
      uid: 'u-1',
      allowed: true,
      warnings: [expect.stringContaining('MeshConfig of namespace demo')],
    });
  });

  it('what cannot be answered is no answer, so that the failurePolicy decides, and nothing internal is told', async () => {
    const unknown = await server().ask('/inject', review({ namespace: 'gone' }));
    expect([unknown.status, unknown.answer]).toEqual([503, { error: 'namespace gone is not known yet; try again' }]);
    const { ask, log } = server({ namespace: () => Promise.reject(new Error('secret detail')) });
    const broken = await ask('/inject', review());
    expect([broken.status, JSON.stringify(broken.answer)]).toEqual([500, expect.not.stringContaining('secret detail')]);
    expect(log.lines.find(line => line.level === 'error')?.fields['err']).toBeInstanceOf(AppError);
  });

  it('a refusal names object, field and remedy, and carries warnings', async () => {
    const { ask, metrics } = server({
      validateObject: () => [
        problem('error', 'must be 1 to 65535; found 0'),
        problem('warning', 'no pod has this port'),
      ],
    });
    const kind = { group: 'policy.linkerd.io', version: 'v1beta3', kind: 'Server' };
    const { response } = await ask('/validate', review({ kind, object: { spec: {} } }));
    expect(response).toEqual({
      uid: 'u-1',
      allowed: false,
      status: {
        status: 'Failure',
        code: 422,
        reason: 'Invalid',
        message: 'Server demo/web: spec.port: must be 1 to 65535; found 0 (Invalid)',
      },
      warnings: ['Server demo/web: spec.port: no pod has this port (Invalid)'],
    });
    expect(metrics.value('weft_webhook_requests_total', { webhook: 'validate', result: 'denied' })).toBe(1);
  });

  it.each([
    {
      name: 'an update of the spec is judged',
      old: { spec: { port: 1 } },
      object: { spec: { port: 0 } },
      allowed: false,
    },
    {
      name: 'an update of labels alone is not',
      old: { spec: { port: 0 } },
      object: { metadata: { labels: { a: 'b' } }, spec: { port: 0 } },
      allowed: true,
    },
    {
      name: 'an object that is being deleted is not',
      old: { spec: { port: 1 } },
      object: { metadata: { deletionTimestamp: '2027-01-01T00:00:00Z' }, spec: { port: 0 } },
      allowed: true,
    },
  ])('$name', async ({ old, object, allowed }) => {
    const { ask } = server({ validateObject: () => [problem('error', 'bad')] });
    const { response } = await ask('/validate/servers', review({ operation: 'UPDATE', object, oldObject: old }));
    expect(response['allowed']).toBe(allowed);
  });

  it.each(['/normalise', '/mutate/trafficsplits'])('%s makes weights whole', async path => {
    const patch = [{ op: 'replace' as const, path: '/spec/backends/0/weight', value: 1 }];
    const { ask } = server({ normaliseTrafficSplit: () => patch });
    const kind = { group: 'split.smi-spec.io', version: 'v1alpha2', kind: 'TrafficSplit' };
    const { response } = await ask(path, review({ kind, object: {} }));
    expect(JSON.parse(Buffer.from(String(response['patch']), 'base64').toString())).toEqual(patch);
  });

  it('other paths and other bodies are refused', async () => {
    const { ask } = server();
    expect((await ask('/other', review())).status).toBe(404);
    expect((await ask('/inject', { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1beta1' })).status).toBe(
      400,
    );
    expect((await ask('/inject', null)).status).toBe(400);
  });
});

describe('the HTTPS server', () => {
  let ca: KeyedCertificate;
  let current: KeyedCertificate | undefined;
  let changed: () => void;
  let webhooks: WebhookServer;
  let port: number;

  const post = (body: string, method = 'POST'): Promise<{ status: number; serial: string; body: string }> =>
    new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        path: '/inject',
        method,
        ca: ca.certificatePem,
        servername: 'weft-operator.weft-system.svc',
        agent: false,
      };
      const sent = request(options, response => {
        const { serialNumber } = (response.socket as import('node:tls').TLSSocket).getPeerCertificate();
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, serial: serialNumber, body: Buffer.concat(chunks).toString() }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const renew = async (): Promise<void> => {
    current = await issueServerCertificate(ca, {
      nowMs: Date.now(),
      validForMs: HOUR_MS,
      dnsNames: ['weft-operator.weft-system.svc'],
    });
    changed();
  };

  beforeEach(async () => {
    ca = await makeCa({ commonName: 'webhooks', nowMs: Date.now(), validForMs: HOUR_MS });
    current = undefined;
    changed = () => undefined;
    const certificate = {
      current: () => current,
      onChange: (listener: () => void) => {
        changed = listener;
        return () => undefined;
      },
    };
    webhooks = server({ certificate }).webhooks;
    port = await webhooks.listen({ host: '127.0.0.1', port: 0 }, new AbortController().signal);
  });

  afterEach(() => webhooks.close());

  it('serves with the newest certificate, and with none before there is one', async () => {
    await expect(post(JSON.stringify(review()))).rejects.toThrow(/handshake|alert|disconnected|reset|hang up/i);
    await renew();
    const first = await post(JSON.stringify(review()));
    await renew();
    const second = await post(JSON.stringify(review()));
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(first.serial).not.toBe(second.serial);
  });

  it('refuses other methods, bodies that are no JSON, and bodies without end', async () => {
    await renew();
    expect((await post('', 'GET')).status).toBe(405);
    expect((await post('{')).status).toBe(400);
    expect(
      (await post('x'.repeat(9 * 1024 * 1024)).catch((reason: Error) => ({ status: reason.message }))).status,
    ).not.toBe(200);
  });
});
