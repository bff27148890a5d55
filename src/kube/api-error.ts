// A refusal by the API server, with the parts of metav1.Status that decide what to do next.
import { AppError, type AppErrorCode } from '../kernel/index.ts';

export class ApiError extends AppError {
  /** HTTP status. */
  readonly status: number;
  /** `metav1.Status.reason`, e.g. `AlreadyExists`, `Expired`; empty when the body was none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(codeOf(status, reason), message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
  }
}

function codeOf(status: number, reason: string): AppErrorCode {
  switch (status) {
    case 400:
    case 422:
      return 'invalid-argument';
    case 401:
      return 'unauthenticated';
    case 403:
      return 'permission-denied';
    case 404:
      return 'not-found';
    case 409:
      return reason === 'AlreadyExists' ? 'already-exists' : 'aborted';
    case 410:
      return 'failed-precondition';
    case 429:
      return 'resource-exhausted';
    default:
      return status >= 500 ? 'unavailable' : 'internal';
  }
}

export const isNotFound = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.status === 404;
/** Someone else wrote first, or the object is there already: read again and retry. */
export const isConflict = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.status === 409;
/** The resource version is no longer known: list again. */
export const isExpired = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.status === 410;

/** From an HTTP status and whatever body came with it. */
export function apiErrorFrom(status: number, what: string, body: string): ApiError {
  let parsed: { reason?: unknown; message?: unknown } = {};
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) parsed = value;
  } catch {
    // Not every answer is a metav1.Status: proxies and the server's own filters send plain text.
  }
  const reason = typeof parsed.reason === 'string' ? parsed.reason : '';
  const message = typeof parsed.message === 'string' ? parsed.message : body.slice(0, 200);
  return new ApiError(status, reason, `${what}: ${status} ${message}`.trim());
}
