// TelemetryService.Report over grpc-js: proves the caller as the configuration stream does, then counts and acknowledges one report after the other.
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { AppError, type Result } from '../kernel/index.ts';
import type { Report, ReportSink } from '../model/index.ts';
import type { Logger } from '../runtime/index.ts';
import { bearerToken, type CallerOptions, proveCaller } from './caller.ts';
import { grpcStatus } from './grpc-status.ts';
import type { HubMetrics } from './metrics.ts';
import { createOpenCalls } from './open-calls.ts';

export interface ReportCodec {
  /** The error says what is wrong with the bytes. */
  decodeReport(bytes: Uint8Array): Result<Report, string>;
  encodeReportAnswer(acknowledged: number): Uint8Array;
}

export interface ReportServiceOptions extends CallerOptions {
  readonly sink: ReportSink;
  readonly codec: ReportCodec;
  readonly metrics: HubMetrics;
  readonly log: Logger;
  readonly maxStreams: number;
}

export type ReportCall = ServerDuplexStream<Buffer, Buffer>;
export type ReportHandler = (mesh: string, call: ReportCall) => void;

export function createReportHandler(options: ReportServiceOptions): ReportHandler {
  const { codec, sink, metrics, log } = options;
  const calls = createOpenCalls(options.maxStreams);

  function refuse(call: ReportCall, error: AppError): void {
    metrics.reported(error.code);
    log.info('reports refused', { peer: call.getPeer(), err: error.message });
    const { code, details } = grpcStatus(error);
    call.emit('error', { code, details, metadata: new Metadata() });
  }

  async function accept(mesh: string, call: ReportCall, signal: AbortSignal): Promise<void> {
    const token = bearerToken(call.metadata.get('authorization')[0]?.toString());
    const caller = await proveCaller({ token, mesh, signal }, options);
    if (signal.aborted) return;
    if (!caller.ok) return refuse(call, caller.error);
    const stream = sink.open(caller.value.who);
    let refused = false;
    call.on('data', (bytes: Buffer) => {
      if (refused) return;
      const report = codec.decodeReport(bytes);
      const counted = report.ok ? stream.receive(report.value) : report;
      if (counted.ok && report.ok) {
        metrics.reported('ok');
        call.write(Buffer.from(codec.encodeReportAnswer(report.value.sequence)));
        return;
      }
      refused = true;
      refuse(call, new AppError('invalid-argument', counted.ok ? 'the report cannot be read' : counted.error));
    });
    call.once('end', () => call.end());
    // The proxy begins once it knows that it is listened to.
    call.sendMetadata(new Metadata());
  }

  return (mesh, call) => {
    const signal = calls.enter(call);
    if (signal === undefined)
      return refuse(call, new AppError('resource-exhausted', 'this replica listens to as many proxies as it may'));
    void accept(mesh, call, signal);
  };
}
