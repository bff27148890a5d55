// Answers and errors as Prometheus writes them: https://prometheus.io/docs/prometheus/latest/querying/api/.
import type { AppErrorCode } from '../../kernel/index.ts';
import { AppError } from '../../kernel/index.ts';
import { type Answer, type LabelSet, QueryError } from '../../telemetry/index.ts';

export interface ErrorAnswer {
  readonly code: 400 | 401 | 403 | 404 | 422 | 429 | 500 | 503;
  readonly body: { readonly status: 'error'; readonly errorType: string; readonly error: string };
}

export function success(data: unknown, warnings: readonly string[]): object {
  return { status: 'success', data, ...(warnings.length === 0 ? {} : { warnings }) };
}

const CODES = { bad_data: 400, execution: 422, timeout: 503, canceled: 503 } as const;
const APP_CODES: Partial<Record<AppErrorCode, readonly [ErrorAnswer['code'], string]>> = {
  'invalid-argument': [400, 'bad_data'],
  unauthenticated: [401, 'unauthorized'],
  'permission-denied': [403, 'forbidden'],
  'not-found': [404, 'not_found'],
  'resource-exhausted': [429, 'unavailable'],
  unavailable: [503, 'unavailable'],
};

export function failure(thrown: unknown): ErrorAnswer {
  if (thrown instanceof QueryError) return errorAnswer(CODES[thrown.type], thrown.type, thrown.message);
  const error = AppError.from(thrown);
  const [code, type] = APP_CODES[error.code] ?? [500, 'internal'];
  // The text of a bug may tell more than a caller should know.
  return errorAnswer(code, type, code === 500 ? 'internal error: see the log of the operator' : error.message);
}

function errorAnswer(code: ErrorAnswer['code'], errorType: string, error: string): ErrorAnswer {
  return { code, body: { status: 'error', errorType, error } };
}

export function dataOf(answer: Answer): object {
  switch (answer.kind) {
    case 'vector':
      return {
        resultType: 'vector',
        result: answer.elements.map(({ labels, value }) => ({
          metric: metricOf(labels),
          value: [answer.atMs / 1_000, numberText(value)],
        })),
      };
    case 'scalar':
      return { resultType: 'scalar', result: [answer.atMs / 1_000, numberText(answer.value)] };
    case 'string':
      return { resultType: 'string', result: [answer.atMs / 1_000, answer.value] };
    case 'matrix':
    default:
      return {
        resultType: 'matrix',
        result: answer.series.map(({ labels, timesMs, values }) => ({
          metric: metricOf(labels),
          values: timesMs.map((timeMs, index) => [timeMs / 1_000, numberText(values[index] ?? Number.NaN)]),
        })),
      };
  }
}

export function metricOf(labels: LabelSet): Readonly<Record<string, string>> {
  return Object.fromEntries(labels);
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
