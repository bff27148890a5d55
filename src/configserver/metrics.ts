// Metrics of the config server; labels come from closed sets.
import type { Metrics } from '../runtime/index.ts';
import type { Frame } from './frames.ts';

export type SentKind = 'workload' | 'trust' | 'outbound' | 'endpoints' | 'remove';
const SENT_KINDS: readonly SentKind[] = ['workload', 'trust', 'outbound', 'endpoints', 'remove'];
const REFUSALS = ['token', 'pod', 'mesh', 'protocol', 'limit'] as const;
export type StreamRefusal = (typeof REFUSALS)[number];

export interface HubMetrics {
  streams(by: 1 | -1): void;
  sent(kind: SentKind, frame: Frame): void;
  answered(result: 'ack' | 'nack', lagSeconds: number): void;
  refused(reason: StreamRefusal): void;
  encoded(): void;
  oversize(): void;
  certified(result: string): void;
  reported(result: string): void;
}

export function createHubMetrics(metrics: Metrics): HubMetrics {
  const streams = metrics.gauge({ name: 'weft_config_streams', help: 'Open configuration streams.', zero: [{}] });
  const pushes = metrics.counter({
    name: 'weft_config_pushes_total',
    help: 'Messages sent to proxies, by kind of resource.',
    labelNames: ['kind'],
    zero: SENT_KINDS.map(kind => ({ kind })),
  });
  const bytes = metrics.counter({
    name: 'weft_config_push_bytes_total',
    help: 'Bytes of messages sent to proxies.',
    zero: [{}],
  });
  const answers = metrics.counter({
    name: 'weft_config_answers_total',
    help: 'Answers of proxies to messages, by result.',
    labelNames: ['result'],
    zero: [{ result: 'ack' }, { result: 'nack' }],
  });
  const lag = metrics.histogram({
    name: 'weft_config_ack_lag_seconds',
    help: 'Time from the sending of a resource to its answer.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  });
  const refusals = metrics.counter({
    name: 'weft_config_streams_refused_total',
    help: 'Streams that were not accepted, by reason.',
    labelNames: ['reason'],
    zero: REFUSALS.map(reason => ({ reason })),
  });
  const encodes = metrics.counter({
    name: 'weft_config_encodes_total',
    help: 'Messages encoded; pushes share them.',
    zero: [{}],
  });
  const oversizes = metrics.counter({
    name: 'weft_config_oversize_total',
    help: 'Resources that were not sent because they are larger than a proxy takes in one message.',
    zero: [{}],
  });
  const certificates = metrics.counter({
    name: 'weft_identity_certify_total',
    help: 'Requests for certificates, by result.',
    labelNames: ['result'],
    zero: [{ result: 'ok' }],
  });
  const reports = metrics.counter({
    name: 'weft_signals_reports_total',
    help: 'Reports of proxies of what they counted, by result.',
    labelNames: ['result'],
    zero: [{ result: 'ok' }],
  });
  return {
    streams: by => (by === 1 ? streams.inc() : streams.dec()),
    sent: (kind, frame) => {
      pushes.inc({ kind });
      bytes.inc({}, frame.bytes.byteLength);
    },
    answered: (result, lagSeconds) => {
      answers.inc({ result });
      lag.observe(lagSeconds);
    },
    refused: reason => refusals.inc({ reason }),
    encoded: () => encodes.inc(),
    oversize: () => oversizes.inc(),
    certified: result => certificates.inc({ result }),
    reported: result => reports.inc({ result }),
  };
}
