import type { Result } from '../kernel/index.ts';
import type { Who } from './view.ts';

/** What a proxy counted since its last acknowledged report; see proto/weft/telemetry/v1. */
export interface Report {
  readonly instance: bigint;
  readonly sequence: number;
  readonly names: readonly { readonly id: number; readonly labels: string }[];
  readonly requests: readonly ReportedRequests[];
  readonly connections: readonly ReportedConnections[];
}

export interface ReportedRequests {
  readonly name: number;
  readonly begun: number;
  readonly responses: readonly ReportedResponses[];
}

export interface ReportedResponses {
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly failure: boolean;
  readonly error: string;
  readonly overflow: boolean;
  /** Pairs: bucket, count. */
  readonly buckets: readonly number[];
  readonly latencySumUs: number;
}

export interface ReportedConnections {
  readonly name: number;
  readonly opened: number;
  readonly closed: readonly { readonly errno: string; readonly count: number }[];
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Where reports go. */
export interface ReportSink {
  /** For one stream of a proxy whose token has been proved. */
  open(who: Who): ReportStream;
}

export interface ReportStream {
  /** Counts it, unless it was counted before; the error says what cannot be read. */
  receive(report: Report): Result<true, string>;
}
