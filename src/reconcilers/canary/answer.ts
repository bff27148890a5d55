// Asks hooks and Prometheus. Whatever goes wrong is an answer too.
import { AppError } from '../../kernel/index.ts';
import { isRecord, type RawObject, SECRETS } from '../../kube/index.ts';
import { record, records, textMap } from './deployment.ts';
import type { Read } from './gather.ts';
import type { Answer, HookPayload, Question, QuerySource } from './observed.ts';
import type { Hook } from './plan.ts';
import type { Exchange, Send } from './send.ts';

export interface AnswerPorts {
  readonly send: Send;
  readonly read: Read;
  /** Of the Prometheus that is asked when nobody names another. */
  readonly metricsServer: string;
}

const QUERY_TIMEOUT_MS = 5_000;

export async function answer(ports: AnswerPorts, question: Question, signal: AbortSignal): Promise<Answer> {
  try {
    return question.kind === 'hook'
      ? await callHook(ports.send, question.hook, question.payload, signal)
      : await query(ports, question.query, question.source, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { kind: 'unknown', message: AppError.from(thrown, 'unavailable').message };
  }
}

/** Up to 202 is a yes, as Flagger has it. */
export async function callHook(send: Send, hook: Hook, payload: HookPayload, signal: AbortSignal): Promise<Answer> {
  const exchange: Exchange = {
    method: 'POST',
    url: hook.url,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload),
    timeoutMs: hook.timeoutMs,
    insecure: hook.insecure,
    signal,
  };
  let failure = '';
  for (let attempt = 0; attempt <= hook.retries; attempt++) {
    try {
      const { status, text } = await send(exchange);
      if (status >= 200 && status <= 202) return { kind: 'yes' };
      failure = `${status} ${text.trim().slice(0, 500)}`.trim();
      if (status < 500) return { kind: 'no', message: failure };
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      failure = AppError.from(thrown, 'unavailable').message;
    }
  }
  return { kind: 'no', message: failure };
}

async function query(
  { send, read, metricsServer }: AnswerPorts,
  text: string,
  source: QuerySource,
  signal: AbortSignal,
): Promise<Answer> {
  const server = source.server === '' ? metricsServer : source.server;
  const credentials = source.secret === undefined ? {} : await credentialsOf(read, source.secret);
  const url = `${server.replace(/\/+$/, '')}/api/v1/query?query=${encodeURIComponent(text.replaceAll(/\s+/g, ' ').trim())}`;
  const reply = await send({
    method: 'GET',
    url,
    headers: { accept: 'application/json', ...source.headers, ...credentials },
    timeoutMs: QUERY_TIMEOUT_MS,
    insecure: source.insecure,
    signal,
  });
  return valueOf(reply.status, reply.text);
}

async function credentialsOf(
  read: Read,
  { namespace, name }: NonNullable<QuerySource['secret']>,
): Promise<Readonly<Record<string, string>>> {
  const data = secretData(await read(SECRETS, namespace, name));
  if (data === undefined) throw new Error(`Secret ${namespace}/${name} does not exist`);
  const { token, username, password } = data;
  if (token !== undefined) return { authorization: `Bearer ${token.trim()}` };
  if (username === undefined || password === undefined)
    throw new Error(`Secret ${namespace}/${name} has neither token nor username and password`);
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

export function secretData(secret: RawObject | undefined): Readonly<Record<string, string>> | undefined {
  if (secret === undefined) return undefined;
  const decode = (value: string): string => Buffer.from(value, 'base64').toString('utf8');
  return Object.fromEntries(Object.entries(textMap(secret['data'])).map(([name, value]) => [name, decode(value)]));
}

/** The last value of a vector, or a scalar; not a number is no data. */
export function valueOf(status: number, body: string): Answer {
  if (status >= 400) return { kind: 'unknown', message: `${status} ${body.trim().slice(0, 500)}` };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return { kind: 'unknown', message: `the metrics server did not answer in JSON: ${body.trim().slice(0, 100)}` };
  }
  const { resultType, result } = record(record(parsed)['data']);
  if (!isRecord(parsed) || parsed['status'] !== 'success')
    return { kind: 'unknown', message: 'the metrics server did not say "success"' };
  if (resultType !== 'vector' && resultType !== 'scalar')
    return { kind: 'unknown', message: `the query gives a ${String(resultType)}, where one number is needed` };
  const value = resultType === 'scalar' ? result : records(result).at(-1)?.['value'];
  const number = Array.isArray(value) && typeof value[1] === 'string' ? Number(value[1]) : Number.NaN;
  return Number.isFinite(number) ? { kind: 'value', value: number } : { kind: 'no-data' };
}
