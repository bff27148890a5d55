import { type OutgoingHttpHeaders, request } from 'node:http';
import type { RequestOptions } from 'node:https';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { API_PORT, type ErrorAnswer } from '../contract/index.ts';
// Not from the folder's index, which loads the operator's base class and with it every kind of Kubernetes.
import { type ApiClient, createApiClient } from '../kube/api-client.ts';
import { ApiError } from '../kube/api-error.ts';
import { isRecord } from '../kube/raw-object.ts';
import { CliError, EXIT } from './exit-code.ts';
import { openPort } from './port-forward.ts';
import type { ClusterApi, Replica, Session } from './session.ts';

const NAMESPACE = 'weft-system';
const SERVER_NAME = `weft-operator.${NAMESPACE}.svc`;
const BIND = 'ask an administrator to bind you the ClusterRole weft-cli and, in weft-system, the Role weft-cli';

export interface ConnectOptions {
  readonly kubeConfig: KubeConfig;
  readonly userAgent: string;
  /** For one answer. */
  readonly timeoutMs: number;
}

/** Everything goes through the API server: a port-forward to each ready operator pod, and inside it TLS with the operator. */
export function createSession(options: ConnectOptions): Session {
  const { kubeConfig, userAgent, timeoutMs } = options;
  const cluster = clusterApi(createApiClient({ kubeConfig, userAgent, timeoutMs }));
  return {
    namespace: kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace ?? 'default',
    cluster,
    replicas: async () => {
      const [pods, ca] = await Promise.all([readyPods(cluster), servingAuthority(cluster)]);
      const [first, ...rest] = pods.map(pod => replica(options, pod, ca));
      if (first === undefined) {
        throw new CliError(
          EXIT.unreachable,
          'no operator pod is ready',
          `look at it: kubectl -n ${NAMESPACE} get pods; is Weft installed in this cluster?`,
        );
      }
      return [first, ...rest];
    },
  };
}

function clusterApi(client: ApiClient): ClusterApi {
  const ask = async (request: Omit<Parameters<ApiClient['request']>[0], 'signal'>): Promise<unknown> => {
    try {
      return await client.request({ ...request, signal: new AbortController().signal });
    } catch (thrown) {
      if (!(thrown instanceof ApiError))
        throw new CliError(
          EXIT.unreachable,
          `the API server does not answer: ${String(thrown)}`,
          'check --kubeconfig and --context',
        );
      if (thrown.status === 404) return undefined;
      if (thrown.status === 401)
        throw new CliError(
          EXIT.unreachable,
          'the API server does not accept your credentials',
          'log in again, or choose another --context',
        );
      if (thrown.status === 403)
        throw new CliError(
          EXIT.unreachable,
          thrown.message,
          request.method === 'GET' ? BIND : `ask an administrator for the right to patch ${pluralOf(request.path)}`,
        );
      throw new CliError(EXIT.unreachable, thrown.message, 'try again');
    }
  };
  return {
    get: async path => await ask({ method: 'GET', path }),
    patch: async (path, body) => await ask({ method: 'PATCH', path, body, contentType: 'application/json-patch+json' }),
  };
}

/** `/apis/weft.dev/v1alpha1/namespaces/demo/canaries/web` is about canaries. */
function pluralOf(path: string): string {
  const parts = path.split('/').slice(1);
  const at = parts[0] === 'api' ? 2 : 3;
  return (parts[at] === 'namespaces' ? parts[at + 2] : parts[at]) ?? 'it';
}

async function readyPods(cluster: ClusterApi): Promise<string[]> {
  const list = await cluster.get(
    `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fname%3Dweft-operator`,
  );
  const items = isRecord(list) && Array.isArray(list['items']) ? list['items'].filter(isRecord) : [];
  return items.filter(isReady).flatMap(pod => (isRecord(pod['metadata']) ? String(pod['metadata']['name']) : []));
}

function isReady(pod: Record<string, unknown>): boolean {
  const { status, metadata } = pod;
  if (!isRecord(status) || !isRecord(metadata) || metadata['deletionTimestamp'] !== undefined) return false;
  const conditions = Array.isArray(status['conditions']) ? status['conditions'].filter(isRecord) : [];
  return conditions.some(condition => condition['type'] === 'Ready' && condition['status'] === 'True');
}

/** The operator's webhooks and its API have one serving certificate; the API server was told whom to believe. */
async function servingAuthority(cluster: ClusterApi): Promise<Buffer> {
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-webhooks';
  const configuration = await cluster.get(path);
  const webhooks =
    isRecord(configuration) && Array.isArray(configuration['webhooks'])
      ? configuration['webhooks'].filter(isRecord)
      : [];
  const bundles = webhooks.flatMap(({ clientConfig }) => (isRecord(clientConfig) ? clientConfig['caBundle'] : []));
  const bundle = bundles.find(text => typeof text === 'string' && text !== '');
  if (typeof bundle === 'string') return Buffer.from(bundle, 'base64');
  const remedy =
    configuration === undefined
      ? 'is Weft installed in this cluster?'
      : `see the log: kubectl -n ${NAMESPACE} logs deployment/weft-operator`;
  throw new CliError(
    EXIT.unreachable,
    'the operator has not published its certificate authority (webhook configuration weft-webhooks)',
    remedy,
  );
}

function replica({ kubeConfig, userAgent, timeoutMs }: ConnectOptions, pod: string, ca: Buffer): Replica {
  return {
    pod,
    get: async <T>(path: string) => {
      const credentials: RequestOptions = {};
      await kubeConfig.applyToHTTPSOptions(credentials);
      const { cert, key, headers } = credentials;
      const socket = await dial(kubeConfig, pod, {
        ca,
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      });
      try {
        const { status, body } = await exchange(socket, {
          path,
          timeoutMs,
          headers: { ...(headers as OutgoingHttpHeaders), 'User-Agent': userAgent },
        });
        return judge(status, body) as T | undefined;
      } finally {
        socket.destroy();
      }
    },
  };
}

interface DialOptions {
  readonly ca: Buffer;
  readonly cert?: NonNullable<RequestOptions['cert']>;
  readonly key?: NonNullable<RequestOptions['key']>;
}

async function dial(kubeConfig: KubeConfig, pod: string, options: DialOptions): Promise<TLSSocket> {
  const tunnel = await openPort(kubeConfig, { namespace: NAMESPACE, pod, port: API_PORT }).catch((thrown: unknown) => {
    const text = isRecord(thrown) && typeof thrown['message'] === 'string' ? thrown['message'] : String(thrown);
    const remedy = text.includes('403')
      ? BIND
      : `try again; does kubectl -n ${NAMESPACE} port-forward ${pod} ${API_PORT} work?`;
    throw new CliError(EXIT.unreachable, `no way to the operator pod ${pod}: ${text}`, remedy);
  });
  const socket = connectTls({ socket: tunnel, servername: SERVER_NAME, ...options });
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      reject(
        new CliError(
          EXIT.unreachable,
          `no TLS with the operator pod ${pod}: ${error.message}`,
          `see its log: kubectl -n ${NAMESPACE} logs ${pod}`,
        ),
      );
    };
    tunnel.once('error', fail);
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('it closed the connection')));
    socket.once('secureConnect', () => resolve());
  });
  return socket;
}

interface Question {
  readonly path: string;
  readonly timeoutMs: number;
  readonly headers: OutgoingHttpHeaders;
}

async function exchange(
  socket: TLSSocket,
  { path, timeoutMs, headers }: Question,
): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({
      path,
      headers: { Host: SERVER_NAME, Connection: 'close', ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      createConnection: () => socket,
    });
    outgoing.once('error', error =>
      reject(new CliError(EXIT.unreachable, `the operator did not answer ${path}: ${error.message}`, 'try again')),
    );
    outgoing.once('response', response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.end();
  });
}

/** The parsed answer; undefined for 404. */
function judge(status: number, body: string): unknown {
  if (status === 200) return JSON.parse(body);
  if (status === 404) return undefined;
  const { message } = (JSON.parse(body) as ErrorAnswer).error;
  if (status === 400) throw new CliError(EXIT.usage, message, 'see weft --help');
  const remedy = status === 403 || status === 401 ? 'ask an administrator for these rights' : 'try again';
  throw new CliError(EXIT.unreachable, message, remedy);
}
