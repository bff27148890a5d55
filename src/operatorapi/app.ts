import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ObjectAnswer, ProxiesAnswer, ProxyConfigAnswer } from '../contract/index.ts';
import { AppError, type AppErrorCode, objectKey, podKey, type Result } from '../kernel/index.ts';
import { access } from './access.ts';
import { type Bindings, callerOf } from './caller.ts';
import { certsAnswer } from './certs.ts';
import { checkAnswer } from './check.ts';
import type { Access, OperatorApiPorts } from './ports.ts';
import { configOf, summarise } from './proxies.ts';
import { statAnswer } from './stat.ts';
import { statusAnswer } from './status.ts';

type Handler<Path extends string> = (context: Context<{ Bindings: Bindings }, Path>) => unknown;

const STATUS: Readonly<Record<AppErrorCode, ContentfulStatusCode>> = {
  cancelled: 503,
  'invalid-argument': 400,
  'deadline-exceeded': 504,
  'not-found': 404,
  'already-exists': 409,
  'permission-denied': 403,
  'resource-exhausted': 429,
  'failed-precondition': 412,
  aborted: 409,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  unauthenticated: 401,
};

/** The paths. Each asks who calls and whether they may before it looks at anything. */
export function createApp(ports: OperatorApiPorts): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const { replica } = ports;

  function get<Path extends string>(
    path: Path,
    needs: (context: Context<{ Bindings: Bindings }, Path>) => Access,
    answer: Handler<Path>,
  ): void {
    app.get(path, async context => {
      const signal = context.req.raw.signal;
      const user = unwrap(await callerOf(context, ports, signal));
      unwrap(await ports.authorizer.allow(user, needs(context), signal));
      return context.json((await answer(context)) as object, 200, { 'Cache-Control': 'no-store' });
    });
  }

  const namespaceOf = (context: Context) => context.req.query('namespace') ?? '';

  get('/v1/check', access.check, () => checkAnswer(ports));
  get('/v1/certs', access.check, () => certsAnswer(ports));
  get(
    '/v1/status',
    context => access.status(namespaceOf(context)),
    context => statusAnswer(ports, namespaceOf(context)),
  );
  get(
    '/v1/stat',
    context => access.stat(required(context, 'namespace')),
    context =>
      statAnswer(ports, {
        namespace: required(context, 'namespace'),
        windowSeconds: windowOf(context.req.query('window') ?? '5'),
        signal: context.req.raw.signal,
      }),
  );
  get(
    '/v1/proxies',
    context => access.proxies(namespaceOf(context)),
    context => {
      const proxies = ports.registry.proxies().map(proxy => summarise(proxy, replica));
      const wanted = proxies.filter(
        ({ namespace }) => namespaceOf(context) === '' || namespace === namespaceOf(context),
      );
      return { replica, proxies: wanted.toSorted(byPod), missing: ports.registry.missing() } satisfies ProxiesAnswer;
    },
  );
  get(
    '/v1/proxies/:namespace/:pod/config',
    context => access.proxyConfig(context.req.param('namespace'), context.req.param('pod')),
    context => proxyConfigAnswer(ports, context.req.param('namespace'), context.req.param('pod')),
  );
  get(
    '/v1/objects/:group/:kind/:namespace/:name',
    context => access.object(clusterScope(context.req.param('namespace')), context.req.param('name')),
    context => objectAnswer(ports, context.req.param()),
  );
  app.notFound(context =>
    failure(
      context,
      new AppError(
        'not-found',
        `there is no ${context.req.path}: ask for /v1/check, certs, status, stat, proxies or objects`,
      ),
    ),
  );
  app.onError((thrown, context) => {
    const error = AppError.from(thrown);
    if (error.code === 'internal') ports.logger.error('operator API request failed', { err: error });
    return failure(context, error);
  });
  return app;
}

function proxyConfigAnswer(ports: OperatorApiPorts, namespace: string, pod: string): ProxyConfigAnswer {
  const key = podKey(namespace, pod);
  const proxy = ports.registry.proxies().find(({ who }) => who.podKey === key);
  const missing = ports.registry.missing();
  if (proxy === undefined) {
    const unknown =
      missing.length === 0 ? '' : `; unknown is what ${missing.map(one => one.replica).join(', ')} would say`;
    throw new AppError('not-found', `no replica has a connection from the proxy of pod ${namespace}/${pod}${unknown}`);
  }
  const summary = summarise(proxy, ports.replica);
  return { replica: ports.replica, proxy: summary, ...configOf(proxy, ports.config), missing };
}

function objectAnswer(
  ports: OperatorApiPorts,
  params: { group: string; kind: string; namespace: string; name: string },
): ObjectAnswer {
  const key = objectKey({
    ...params,
    group: params.group === 'core' ? '' : params.group,
    namespace: clusterScope(params.namespace),
  });
  const { statuses, problems } = ports.findings();
  return {
    replica: ports.replica,
    object: key,
    proxies: ports.registry.holders(key),
    missing: ports.registry.missing(),
    conditions: statuses.get(key)?.conditions ?? [],
    problems: problems.filter(({ object }) => object === key),
  };
}

/** `-` stands for "no namespace" in a path. */
function clusterScope(namespace: string): string {
  return namespace === '-' ? '' : namespace;
}

function required(context: Context, name: string): string {
  const value = context.req.query(name);
  if (value === undefined || value === '')
    throw new AppError('invalid-argument', `the query parameter "${name}" is missing`);
  return value;
}

function windowOf(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 0 || seconds > 60)
    throw new AppError('invalid-argument', `window=${text}: give 0 to 60 seconds`);
  return seconds;
}

function unwrap<T>(result: Result<T, AppError>): T {
  if (!result.ok) throw result.error;
  return result.value;
}

function failure(context: Context, error: AppError): Response {
  // The text of a bug may tell more than a caller should know.
  const message = error.code === 'internal' ? 'internal error: see the log of the operator' : error.message;
  return context.json({ error: { code: error.code, message } }, STATUS[error.code]);
}

function byPod(a: { namespace: string; pod: string }, b: { namespace: string; pod: string }): number {
  return `${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1;
}
