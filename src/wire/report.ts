import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ReportRequestSchema, ReportResponseSchema } from '../gen/weft/telemetry/v1/telemetry_pb.ts';
import { err, ok, type Result } from '../kernel/index.ts';
import type { Report } from '../model/index.ts';

/** Reads what a proxy reported; the error says what cannot be understood. */
export function decodeReport(bytes: Uint8Array): Result<Report, string> {
  try {
    const { instance, sequence, names, requests, connections } = fromBinary(ReportRequestSchema, bytes);
    return ok({
      instance,
      sequence,
      names,
      requests: requests.map(({ name, begun, responses }) => ({
        name,
        begun,
        responses: responses.map(({ status, grpcStatus, failure, error, overflow, buckets, latencySumUs }) => ({
          status,
          grpcStatus,
          failure,
          error,
          overflow,
          buckets,
          latencySumUs,
        })),
      })),
      connections: connections.map(({ name, opened, closed, readBytes, writtenBytes }) => ({
        name,
        opened,
        closed,
        readBytes,
        writtenBytes,
      })),
    });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

export function encodeReportAnswer(acknowledged: number): Uint8Array {
  return toBinary(ReportResponseSchema, create(ReportResponseSchema, { acknowledged }));
}

/** The other direction, for tests and for tools that play a proxy. */
export function encodeReport(report: Report): Uint8Array {
  const requests = report.requests.map(one => ({
    ...one,
    responses: one.responses.map(({ grpcStatus, buckets, ...rest }) => ({
      ...rest,
      buckets: [...buckets],
      ...(grpcStatus === undefined ? {} : { grpcStatus }),
    })),
  }));
  const connections = report.connections.map(one => ({ ...one, closed: [...one.closed] }));
  const message = { ...report, names: [...report.names], requests, connections };
  return toBinary(ReportRequestSchema, create(ReportRequestSchema, message));
}

export function decodeReportAnswer(bytes: Uint8Array): number {
  return fromBinary(ReportResponseSchema, bytes).acknowledged;
}
