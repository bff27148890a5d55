import { type InboundPolicy, type ServerSpec, server } from '../../api/index.ts';
import type { CustomObject, LabelSelector, Protocol } from '../../model/index.ts';
import { memoised, type Parsed, Report } from './report.ts';

/** What a Server says about its port. */
export interface ServerRule {
  readonly object: CustomObject;
  readonly selector: LabelSelector;
  readonly port: number | string;
  readonly protocol: Protocol;
  readonly accessPolicy: InboundPolicy;
  /** Invalid: nobody is let in, whatever authorizations say. */
  readonly closed: boolean;
}

const PROTOCOLS = {
  unknown: 'detect',
  'HTTP/1': 'http1',
  'HTTP/2': 'http2',
  gRPC: 'grpc',
  opaque: 'opaque',
  TLS: 'tls',
} as const satisfies Record<ServerSpec['proxyProtocol'], Protocol>;

export const parseServer: (object: CustomObject) => Parsed<ServerRule> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(server);
  if (spec === undefined) return report.parsed(closedRule(object));
  if (spec.podSelector === undefined) {
    report.error(
      'spec.externalWorkloadSelector',
      'UnsupportedSelector',
      'spec.externalWorkloadSelector: workloads outside the cluster are not supported; use podSelector.',
    );
    return report.parsed<ServerRule>(undefined);
  }
  const emptyValues = (spec.podSelector.matchExpressions ?? []).findIndex(
    ({ operator, values }) => ['In', 'NotIn'].includes(operator) && (values ?? []).length === 0,
  );
  if (emptyValues >= 0) {
    const path = `spec.podSelector.matchExpressions[${emptyValues}].values`;
    report.error(path, 'Invalid', `${path} must not be empty with In and NotIn; list the values.`);
    return report.parsed(closedRule(object));
  }
  return report.parsed({
    object,
    selector: spec.podSelector,
    port: spec.port,
    protocol: PROTOCOLS[spec.proxyProtocol],
    accessPolicy: spec.accessPolicy,
    closed: false,
  });
});

/** Of an invalid Server: the port that it means is closed. What cannot be read of its selector selects more pods, not fewer. */
function closedRule(object: CustomObject): ServerRule | undefined {
  const spec = asRecord(object.spec);
  const port = spec['port'];
  if (!(typeof port === 'string' && port !== '') && !Number.isSafeInteger(port)) return undefined;
  if (spec['podSelector'] === undefined && spec['externalWorkloadSelector'] !== undefined) return undefined;
  const labels = Object.entries(asRecord(asRecord(spec['podSelector'])['matchLabels'])).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    object,
    selector: { matchLabels: Object.fromEntries(labels) },
    port: port as number | string,
    protocol: 'detect',
    accessPolicy: 'deny',
    closed: true,
  };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : {};
}
