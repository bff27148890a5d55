// The one mapping from our errors to gRPC's. The cause stays here: only code and message go to the other side.
import { status } from '@grpc/grpc-js';
import type { AppError, AppErrorCode } from '../kernel/index.ts';

const CODES: Readonly<Record<AppErrorCode, status>> = {
  cancelled: status.CANCELLED,
  'invalid-argument': status.INVALID_ARGUMENT,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'permission-denied': status.PERMISSION_DENIED,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  'failed-precondition': status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
  unauthenticated: status.UNAUTHENTICATED,
};

export function grpcStatus(error: AppError): { readonly code: status; readonly details: string } {
  // The message of an internal error was written by nobody who thought of the other side.
  return { code: CODES[error.code], details: error.code === 'internal' ? 'internal error' : error.message };
}
