/** What a failure means to whoever must handle it; the names are gRPC's, lower case. */
export type AppErrorCode =
  | 'cancelled'
  | 'invalid-argument'
  | 'deadline-exceeded'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'failed-precondition'
  | 'aborted'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'unauthenticated';

/** The one error class of the operator. `message` may be shown to the other side; `cause` is for the log only. */
export class AppError extends Error {
  readonly code: AppErrorCode;

  constructor(code: AppErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
  }

  /** For every catch: an AppError stays what it is, an abort is `cancelled`, anything else becomes `internal` (or the code given). */
  static from(reason: unknown, code: AppErrorCode = 'internal'): AppError {
    if (reason instanceof AppError) return reason;
    if (reason instanceof Error && reason.name === 'AbortError')
      return new AppError('cancelled', reason.message, { cause: reason });
    if (reason instanceof Error && reason.name === 'TimeoutError')
      return new AppError('deadline-exceeded', reason.message, { cause: reason });
    if (reason instanceof Error) return new AppError(code, reason.message, { cause: reason });
    return new AppError(code, String(reason), { cause: reason });
  }
}
