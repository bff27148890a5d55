import { GRPC_CODES } from '../../api/index.ts';
import type { Retry, RetryBudget, StatusRange } from '../../model/index.ts';

/** Retries in the words of people. */
export interface RetryWords {
  readonly limit: number;
  /** `5xx`, `gateway-error`, `connect-failure`, `timeout`, a status, or a range of them. */
  readonly on: readonly string[];
  readonly grpcOn: readonly (keyof typeof GRPC_CODES)[];
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
  readonly budget: RetryBudget | undefined;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly maxRetryAfterMs: number;
}

export function retryOf({ on, grpcOn, methods, ...rest }: RetryWords): Retry {
  return {
    ...rest,
    statuses: on.flatMap(statusesOf),
    grpcCodes: grpcOn.map(name => GRPC_CODES[name]),
    onConnectionError: on.includes('connect-failure'),
    onTimeout: on.includes('timeout'),
    methods: [...methods].toSorted(),
  };
}

function statusesOf(word: string): readonly StatusRange[] {
  if (word === '5xx') return [{ first: 500, last: 599 }];
  if (word === 'gateway-error') return [{ first: 502, last: 504 }];
  const [first, last = first] = word.split('-').map(Number);
  return first === undefined || Number.isNaN(first) || last === undefined || Number.isNaN(last)
    ? []
    : [{ first: Math.min(first, last), last: Math.max(first, last) }];
}
