/** As Prometheus names what is wrong: `bad_data` is the question's fault, `execution` what its data or bounds do not allow. */
export type QueryErrorType = 'bad_data' | 'execution' | 'timeout' | 'canceled';

/** Thrown while a question is read or answered; the message is for the caller. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  readonly type: QueryErrorType;

  constructor(type: QueryErrorType, message: string) {
    super(message);
    this.type = type;
  }
}

export function badData(message: string): QueryError {
  return new QueryError('bad_data', message);
}
