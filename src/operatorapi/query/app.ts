// The paths of Prometheus' query API. Each finds out who asks, and whether they may see what the question is about, before anything is looked at.
import { type Context, Hono } from 'hono';
import { AppError } from '../../kernel/index.ts';
import { type Clock, createLanes, type Logger } from '../../runtime/index.ts';
import {
  answerAt,
  answerRange,
  badData,
  type Expression,
  METRICS,
  type Matcher,
  parseQuery,
  parseSelector,
  QueryError,
  type SeriesQuestion,
  selectorsOf,
  type SignalReader,
} from '../../telemetry/index.ts';
import { access } from '../access.ts';
import { type Bindings, callerOf } from '../caller.ts';
import type { Authenticator, Authorizer } from '../ports.ts';
import { dataOf, failure, metricOf, success } from './answer.ts';
import type { IdentifyCaller } from './callers.ts';
import { durationOf, type Parameters, timeOf } from './parameters.ts';

export interface QueryPorts {
  readonly reader: SignalReader;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly identify: IdentifyCaller;
  readonly clock: Clock;
  readonly logger: Logger;
}

type QueryContext = Context<{ Bindings: Bindings }>;

interface Asked {
  readonly parameters: Parameters;
  readonly all: (name: string) => readonly string[];
  readonly signal: AbortSignal;
}

interface Found {
  readonly data: unknown;
  readonly warnings: readonly string[];
}

/** What a question touches: the namespaces whose series it may see, and what answers it. */
interface Plan {
  readonly namespaces: readonly string[];
  readonly run: () => Promise<Found>;
}

const TIMEOUT_MS = 10_000;
const MAX_BODY = 64 * 1024;
/** Selectors of one question. */
const MAX_SELECTORS = 32;
/** Questions that are answered at once, because each holds its samples; and those that are there at all: what goes beyond is refused. */
const AT_ONCE = 2;
const MAX_ASKED = 32;

export function createQueryApp(ports: QueryPorts): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const { reader, clock, logger } = ports;
  const lanes = createLanes(AT_ONCE);
  let asked = 0;

  async function authorize(context: QueryContext, { namespaces }: Plan, signal: AbortSignal): Promise<void> {
    const { socket } = context.env.incoming;
    if (socket.getPeerCertificate === undefined) {
      if (context.req.header('authorization') !== undefined)
        throw new AppError('unauthenticated', 'a token was sent without TLS: take it for stolen, and use https');
      if (ports.identify(socket.remoteAddress) !== undefined) return;
      throw new AppError(
        'unauthenticated',
        'without TLS only callers are answered that --query-allow (in the chart: signals.allow) names: use https and a token',
      );
    }
    const user = await callerOf(context, ports, signal);
    if (!user.ok) throw user.error;
    for (const namespace of namespaces) {
      const allowed = await ports.authorizer.allow(user.value, access.stat(namespace), signal);
      if (!allowed.ok) throw allowed.error;
    }
  }

  async function answer(context: QueryContext, planOf: (asked: Asked) => Plan): Promise<Response> {
    const signal = AbortSignal.any([context.req.raw.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    asked += 1;
    try {
      if (asked > MAX_ASKED) throw new AppError('resource-exhausted', 'too many questions at once; try again');
      const values = await valuesOf(context);
      const plan = planOf({
        parameters: name => values.get(name)?.at(-1),
        all: name => values.get(name) ?? [],
        signal,
      });
      await authorize(context, plan, signal);
      const { data, warnings } = await lanes(async () => {
        if (signal.aborted) throw new QueryError('timeout', 'query timed out in the queue');
        return await plan.run();
      });
      return context.json(success(data, warnings), 200, { 'Cache-Control': 'no-store' });
    } catch (thrown) {
      const late = signal.aborted && !(thrown instanceof QueryError);
      const { code, body } = failure(late ? new QueryError('timeout', 'query timed out') : thrown);
      if (code === 500) logger.error('query failed', { err: thrown });
      return context.json(body, code);
    } finally {
      asked -= 1;
    }
  }

  function both(path: string, planOf: (asked: Asked, context: QueryContext) => Plan): void {
    app.on(['GET', 'POST'], path, context => answer(context, asked => planOf(asked, context)));
  }

  const fetch: SignalReader['samples'] = (wanted, signal) => reader.samples(wanted, signal);

  both('/api/v1/query', ({ parameters, signal }) => {
    const expression = queryOf(parameters);
    const atMs = timeOf(parameters, 'time', clock.nowMs());
    return {
      namespaces: namespacesOf(expression),
      run: async () => {
        const { answer: found, warnings } = await answerAt(expression, atMs, fetch, signal);
        return { data: dataOf(found), warnings };
      },
    };
  });
  both('/api/v1/query_range', ({ parameters, signal }) => {
    const expression = queryOf(parameters);
    for (const name of ['start', 'end', 'step'])
      if ((parameters(name) ?? '') === '') throw badData(`invalid parameter "${name}": it is missing`);
    const range = {
      startMs: timeOf(parameters, 'start', 0),
      endMs: timeOf(parameters, 'end', 0),
      stepMs: durationOf(parameters, 'step', undefined),
    };
    return {
      namespaces: namespacesOf(expression),
      run: async () => {
        const { answer: found, warnings } = await answerRange(expression, range, fetch, signal);
        return { data: dataOf(found), warnings };
      },
    };
  });
  both('/api/v1/series', asked => {
    if (asked.all('match[]').length === 0) throw badData('no match[] parameter provided');
    const question = seriesQuestion(asked, clock.nowMs());
    return {
      namespaces: namespacesOfAll(question.matchers),
      run: async () => {
        const { series, warnings } = await reader.series(question, asked.signal);
        return { data: series.map(metricOf), warnings };
      },
    };
  });
  both('/api/v1/labels', asked => {
    const question = seriesQuestion(asked, clock.nowMs());
    return {
      namespaces: namespacesOfAll(question.matchers),
      run: async () => {
        const { labels, warnings } = await reader.labels(question, asked.signal);
        return { data: [...labels.keys()].toSorted(), warnings };
      },
    };
  });
  both('/api/v1/label/:name/values', (asked, context) => {
    const name = context.req.param('name') ?? '';
    if (!/^[a-zA-Z_]\w*$/.test(name)) throw badData(`invalid label name: "${name}"`);
    const question = seriesQuestion(asked, clock.nowMs());
    return {
      namespaces: namespacesOfAll(question.matchers),
      run: async () => {
        const { labels, warnings } = await reader.labels(question, asked.signal);
        return { data: [...(labels.get(name) ?? [])].toSorted(), warnings };
      },
    };
  });
  // Grafana looks here for what may be asked.
  both('/api/v1/metadata', () => ({
    namespaces: [],
    run: async () =>
      await Promise.resolve({
        data: Object.fromEntries(METRICS.map(({ name, type }) => [name, [{ type, help: '', unit: '' }]])),
        warnings: [],
      }),
  }));
  app.notFound(context => {
    const paths = 'query, query_range, series, labels, label/<name>/values or metadata';
    const { code, body } = failure(
      new AppError('not-found', `there is no ${context.req.path}: ask for /api/v1/${paths}`),
    );
    return context.json(body, code);
  });
  return app;
}

function queryOf(parameters: Parameters): Expression {
  const expression = parseQuery(parameters('query') ?? '');
  if (selectorsOf(expression).length > MAX_SELECTORS)
    throw badData(`more than ${MAX_SELECTORS} selectors in one query`);
  return expression;
}

const EVERYTHING: readonly Matcher[] = [{ name: '__name__', operator: '!=', value: '' }];

function seriesQuestion({ parameters, all }: Asked, nowMs: number): SeriesQuestion {
  const matches = all('match[]');
  if (matches.length > MAX_SELECTORS) throw badData(`more than ${MAX_SELECTORS} match[] in one question`);
  return {
    matchers: matches.length === 0 ? [EVERYTHING] : matches.map(text => parseSelector(text).matchers),
    startMs: timeOf(parameters, 'start', 0),
    endMs: timeOf(parameters, 'end', nowMs),
  };
}

function namespacesOf(expression: Expression): readonly string[] {
  return namespacesOfAll(selectorsOf(expression).map(({ matchers }) => matchers));
}

/** Those that every list of matchers is confined to by equality; the empty one, which stands for all, if one of them is not. */
function namespacesOfAll(all: readonly (readonly Matcher[])[]): readonly string[] {
  const each = all.map(
    matchers =>
      matchers.find(
        ({ name, operator }) => operator === '=' && (name === 'namespace' || name === 'kubernetes_namespace'),
      )?.value ?? '',
  );
  return each.includes('') ? [''] : [...new Set(each)];
}

async function valuesOf(context: QueryContext): Promise<ReadonlyMap<string, readonly string[]>> {
  const pairs = [...new URL(context.req.url).searchParams];
  if (context.req.method === 'POST') {
    if (Number(context.req.header('content-length') ?? 0) > MAX_BODY)
      throw badData(`the body is longer than ${MAX_BODY} bytes`);
    const text = await bodyOf(context.req.raw);
    pairs.push(...new URLSearchParams(text));
  }
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  return values;
}

async function bodyOf(request: Request): Promise<string> {
  if (request.body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > MAX_BODY) throw badData(`the body is longer than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
