/**
 * L4: admission webhooks: injection, validation, whole-number weights. Imports kernel, api and runtime; what compile and the stores know is handed
 * in as functions. Never another L4 folder.
 */
import { AppError } from '../kernel/index.ts';
import type { Clock, Metrics } from '../runtime/index.ts';
import { type HandlerOptions, createHandlers } from './handlers.ts';
import { type CertificateSource, type Reply, createHttpsServer } from './https-server.ts';
import { readReview, writeReview } from './review.ts';

export type { CertificateSource, ServerCertificate } from './https-server.ts';
export type {
  InjectOptions,
  Injection,
  Labelled,
  MeshForInjection,
  PodObject,
  SkipReason,
} from './inject/index.ts';
export type { JsonPatch } from './json-patch.ts';
export type { ValidateObject } from './validate.ts';

export interface WebhookServerOptions extends Omit<HandlerOptions, 'injections'> {
  readonly certificate: CertificateSource;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface WebhookServer {
  /** Resolves with the port; `signal` closes the server. */
  listen(address: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<number>;
  close(graceMs?: number): Promise<void>;
  /** What the server answers to a review sent to a path; for tests and tools without a socket. */
  handle(path: string, body: unknown, signal: AbortSignal): Promise<Reply>;
}

type Webhook = 'inject' | 'validate' | 'normalise';

export function createWebhookServer(options: WebhookServerOptions): WebhookServer {
  const { clock, metrics } = options;
  const log = options.log.child({ component: 'webhooks' });
  const injections = metrics.counter({
    name: 'weft_webhook_injections_total',
    help: 'Pods reviewed for injection, by result.',
    labelNames: ['result'],
    zero: [{ result: 'Injected' }],
  });
  const requests = metrics.counter({
    name: 'weft_webhook_requests_total',
    help: 'Admission reviews answered, by webhook and result.',
    labelNames: ['webhook', 'result'],
  });
  const duration = metrics.histogram({
    name: 'weft_webhook_duration_seconds',
    help: 'Time to answer an admission review.',
    labelNames: ['webhook'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  });
  const handlers = createHandlers({ ...options, log, injections });

  async function handle(path: string, body: unknown, signal: AbortSignal): Promise<Reply> {
    const webhook = webhookOf(path);
    if (webhook === undefined) return { status: 404, body: { error: `there is no webhook at ${path}` } };
    const request = readReview(body);
    if (!request.ok) return { status: 400, body: { error: request.error } };
    const startMs = clock.nowMs();
    try {
      const answer = await handlers[webhook](request.value, signal);
      requests.inc({ webhook, result: answer.allowed ? 'allowed' : 'denied' });
      return { status: 200, body: writeReview(request.value.uid, answer) };
    } catch (reason) {
      // No answer rather than a refusal: what happens then is for the failurePolicy of the webhook to say.
      const err = AppError.from(reason);
      const { kind, namespace, name } = request.value;
      requests.inc({ webhook, result: 'failed' });
      log.error('review failed', { kind: kind.kind, namespace, name, err });
      const error = err.code === 'internal' ? 'the review failed; see the log of weft-operator' : err.message;
      return { status: err.code === 'unavailable' ? 503 : 500, body: { error } };
    } finally {
      duration.observe((clock.nowMs() - startMs) / 1_000, { webhook });
    }
  }

  const server = createHttpsServer({ certificate: options.certificate, handle, log });
  let closing: Promise<void> | undefined;
  const close = (graceMs = 5_000): Promise<void> => {
    closing ??= server.close(graceMs);
    return closing;
  };
  return {
    listen: async (address, signal) => {
      const port = await server.listen(address);
      if (signal.aborted) await close();
      else signal.addEventListener('abort', () => void close(), { once: true });
      log.info('serving webhooks', { port });
      return port;
    },
    close,
    handle,
  };
}

/** Each webhook has a short path, and one that says what it acts on. */
function webhookOf(path: string): Webhook | undefined {
  if (path === '/inject' || path === '/mutate/pods') return 'inject';
  if (path === '/normalise' || path === '/mutate/trafficsplits') return 'normalise';
  if (path === '/validate' || path.startsWith('/validate/')) return 'validate';
  return undefined;
}
