// The one way to the Kubernetes API. Credentials, TLS and proxy settings come from client-node's KubeConfig; requests go out through
// node:https with kept-alive connections, because client-node 2.0.1 makes a new connection pool for every request, its Watch swallows
// lines it cannot parse as well as errors thrown by the callback, and its typed lists copy every object once more.
import http from 'node:http';
import https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { AppError } from '../kernel/index.ts';
import { apiErrorFrom } from './api-error.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the server's address, from {@link resourcePath}. */
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

export interface WatchRequest {
  readonly path: string;
  readonly query: Query;
  readonly signal: AbortSignal;
  /** One line of the stream, without its end. A throw ends the watch and comes out of it. */
  readonly onLine: (line: string) => void;
  /** Called when the server has accepted the watch, and for every chunk that arrives. */
  readonly onActivity: () => void;
  /** The watch ends, without error, when nothing at all arrives for so long. */
  readonly idleMs: number;
}

export interface ApiClient {
  /** The parsed answer. Throws ApiError for a refusal, AppError `unavailable` when there was no answer. */
  request(request: ApiRequest): Promise<unknown>;
  /** Ends when the server closes the stream, the stream goes idle or `signal` aborts; throws like request. */
  watch(request: WatchRequest): Promise<void>;
}

export interface ApiClientOptions {
  readonly kubeConfig: KubeConfig;
  readonly userAgent: string;
  /** For one request, answer included; for a watch, until the server has accepted it. */
  readonly timeoutMs?: number;
}

interface Connection {
  readonly options: https.RequestOptions;
  readonly send: typeof https.request;
}

// A connection that waits in the pool for longer is closed: the network may have forgotten it, without a word, and a request on it would learn that by
// its own deadline only.
const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 30_000, timeout: 20_000 } as const;

function urlOf(server: string, path: string, query: Query = {}): URL {
  const url = new URL(server.replace(/\/$/, '') + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  const { kubeConfig, userAgent, timeoutMs = 30_000 } = options;
  const plainAgent = new http.Agent(KEEP_ALIVE);
  let tlsAgent: { readonly key: string; readonly agent: https.Agent } | undefined;

  /** The pool is replaced when the credentials in it change, e.g. a renewed client certificate. */
  function agentFor(
    tls: Pick<https.AgentOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>,
  ): https.Agent {
    const key = [tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].map(String).join('\n');
    if (tlsAgent?.key !== key) tlsAgent = { key, agent: new https.Agent({ ...tls, ...KEEP_ALIVE }) };
    return tlsAgent.agent;
  }

  async function connection(server: string): Promise<Connection> {
    const applied: https.RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(applied);
    const { headers, auth, agent, ca, cert, key, servername, rejectUnauthorized } = applied;
    const common = {
      headers: { 'User-Agent': userAgent, ...(headers as http.OutgoingHttpHeaders | undefined) },
      ...(auth == null ? {} : { auth }),
    };
    if (kubeConfig.getCurrentCluster()?.proxyUrl !== undefined)
      return { options: { ...common, agent }, send: https.request };
    if (server.startsWith('http:')) return { options: { ...common, agent: plainAgent }, send: http.request };
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined),
    );
    return { options: { ...common, agent: agentFor(tls) }, send: https.request };
  }

  async function open(request: ApiRequest): Promise<http.IncomingMessage> {
    const { method, path, query, body, contentType = 'application/json', signal } = request;
    const server = kubeConfig.getCurrentCluster()?.server;
    if (server === undefined)
      throw new AppError(
        'failed-precondition',
        'the kubeconfig names no cluster; check KUBECONFIG or the service account',
      );
    const { options, send } = await connection(server);
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers: http.OutgoingHttpHeaders = {
      ...(options.headers as http.OutgoingHttpHeaders),
      Accept: 'application/json',
    };
    if (payload !== undefined) {
      headers['Content-Type'] = contentType;
      headers['Content-Length'] = Buffer.byteLength(payload);
    }
    const url = urlOf(server, path, query);
    const attempt = (mayRepeat: boolean): Promise<http.IncomingMessage> =>
      new Promise((resolve, reject) => {
        const outgoing = send(url, { ...options, method, headers, signal }, resolve);
        outgoing.on('error', (error: NodeJS.ErrnoException) => {
          // The server closed a kept-alive connection just as it was reused: the request was never looked at.
          if (mayRepeat && outgoing.reusedSocket && error.code === 'ECONNRESET') resolve(attempt(false));
          else reject(error);
        });
        outgoing.end(payload);
      });
    return attempt(true);
  }

  return {
    request: async request => {
      const what = `${request.method} ${request.path}`;
      const timeout = AbortSignal.timeout(timeoutMs);
      try {
        const response = await open({ ...request, signal: AbortSignal.any([request.signal, timeout]) });
        const text = await readText(response);
        const status = response.statusCode ?? 0;
        if (status < 200 || status > 299) throw apiErrorFrom(status, what, text);
        return text === '' ? undefined : JSON.parse(text);
      } catch (thrown) {
        throw noAnswer(what, thrown, request.signal);
      }
    },
    watch: async request => {
      const what = `watch ${request.path}`;
      const idle = new AbortController();
      const timer = setTimeout(() => idle.abort(), request.idleMs).unref();
      const late = new AbortController();
      const opening = setTimeout(() => late.abort(new Error(`not accepted within ${timeoutMs} ms`)), timeoutMs).unref();
      const alive = (): void => {
        timer.refresh();
        request.onActivity();
      };
      try {
        const signal = AbortSignal.any([request.signal, idle.signal, late.signal]);
        const response = await open({
          method: 'GET',
          path: request.path,
          query: { ...request.query, watch: true },
          signal,
        });
        if (response.statusCode !== 200) throw apiErrorFrom(response.statusCode ?? 0, what, await readText(response));
        clearTimeout(opening);
        alive();
        await readLines(response, request.onLine, alive);
      } catch (thrown) {
        if (idle.signal.aborted || request.signal.aborted) return;
        throw noAnswer(what, thrown, request.signal);
      } finally {
        clearTimeout(timer);
        clearTimeout(opening);
      }
    },
  };
}

function noAnswer(what: string, thrown: unknown, signal: AbortSignal): AppError {
  if (thrown instanceof AppError) return thrown;
  if (signal.aborted) return new AppError('cancelled', `${what}: called off`, { cause: thrown });
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError('unavailable', `${what}: ${detail}`, { cause: thrown });
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function readLines(
  response: http.IncomingMessage,
  onLine: (line: string) => void,
  onChunk: () => void,
): Promise<void> {
  response.setEncoding('utf8');
  // Pieces of a line that spans chunks; joined once, so that a long line costs no repeated copying.
  let pieces: string[] = [];
  for await (const chunk of response) {
    onChunk();
    const parts = (chunk as string).split('\n');
    const last = parts.pop() ?? '';
    for (const part of parts) {
      const line = pieces.length === 0 ? part : pieces.join('') + part;
      pieces = [];
      if (line !== '') onLine(line);
    }
    if (last !== '') pieces.push(last);
  }
}
