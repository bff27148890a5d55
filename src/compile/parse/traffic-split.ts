import { MAX_WEIGHT, trafficSplit, type TrafficSplitSpec } from '../../api/index.ts';
import { parseQuantity, type Quantity, wholeNumbers } from '../../kernel/index.ts';
import type { CustomObject } from '../../model/index.ts';
import { memoised, type Parsed, Report } from './report.ts';

export interface Split {
  readonly object: CustomObject;
  readonly root: ServiceName;
  readonly backends: readonly SplitBackend[];
  /** Names of HTTPRouteGroups; undefined: every request is split. */
  readonly groups: readonly string[] | undefined;
}

export interface SplitBackend {
  readonly service: ServiceName;
  readonly weight: Quantity;
}

/** A Service in the namespace of the split. */
interface ServiceName {
  readonly name: string;
  /** Where the name was given as a full DNS name: what follows `.svc.`. */
  readonly domain: string | undefined;
}

export const parseTrafficSplit: (object: CustomObject) => Parsed<Split> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(trafficSplit);
  if (spec === undefined) return report.parsed<Split>(undefined);
  const root = parseService(report, 'spec.service', spec.service);
  const backends = parseBackends(report, spec.backends);
  for (const [index, match] of (spec.matches ?? []).entries()) {
    const path = `spec.matches[${index}]`;
    if (match.kind !== 'HTTPRouteGroup' || !['', 'specs.smi-spec.io'].includes(match.apiGroup ?? '')) {
      report.error(
        path,
        'UnsupportedReference',
        `${path} refers to ${match.apiGroup ?? ''}/${match.kind}; only specs.smi-spec.io/HTTPRouteGroup has a meaning here.`,
      );
    }
  }
  if (report.failed || root === undefined) return report.parsed<Split>(undefined);
  if (!backends.some(({ weight }) => weight.numerator > 0n)) {
    report.warning(
      'spec.backends',
      'NoEffectiveBackends',
      `No backend has a weight above 0, so ${root.name} serves its own endpoints; give one a weight.`,
    );
  }
  if (backends.some(({ service }) => service.name === root.name)) {
    report.warning(
      'spec.backends',
      'SelfReference',
      `${root.name} is a backend of itself: its share goes to its own endpoints.`,
    );
  }
  // An empty list is what clients write that know no matches.
  const groups =
    spec.matches === undefined || spec.matches.length === 0 ? undefined : spec.matches.map(match => match.name);
  return report.parsed({ object, root, backends, groups });
});

function parseBackends(report: Report, written: TrafficSplitSpec['backends']): readonly SplitBackend[] {
  const backends = written.map((backend, index) => {
    const path = `spec.backends[${index}]`;
    const weight = parseQuantity(backend.weight);
    if (weight === undefined) {
      report.error(
        `${path}.weight`,
        'InvalidWeight',
        `${path}.weight ${JSON.stringify(backend.weight)} is no weight; write a whole number of 0 or more, or a quantity such as "500m".`,
      );
    }
    return { service: parseService(report, `${path}.service`, backend.service), weight };
  });
  for (const [index, { service }] of backends.entries()) {
    const first = backends.findIndex(other => other.service !== undefined && other.service.name === service?.name);
    if (first < 0 || first === index) continue;
    report.error(
      `spec.backends[${index}].service`,
      'DuplicateBackend',
      `spec.backends[${index}].service "${written[index]?.service}" is spec.backends[${first}].service already; name it once, with the sum of the weights.`,
    );
  }
  const readable = backends.flatMap(({ service, weight }) =>
    service === undefined || weight === undefined ? [] : [{ service, weight }],
  );
  if (!report.failed) boundWeights(report, written, readable);
  return readable;
}

/** Bounds what each weight is once fractions have made all of them whole, for that is what is stored and what proxies are told. */
function boundWeights(report: Report, written: TrafficSplitSpec['backends'], backends: readonly SplitBackend[]): void {
  for (const [index, whole] of wholeNumbers(backends.map(({ weight }) => weight)).entries()) {
    if (whole <= MAX_WEIGHT) continue;
    const path = `spec.backends[${index}].weight`;
    const shown = JSON.stringify(written[index]?.weight);
    const fractions = backends.some(({ weight }) => weight.denominator !== 1n);
    report.error(
      path,
      'InvalidWeight',
      fractions
        ? `${path} ${shown} is ${whole} when the fractions beside it are written as whole numbers, and the greatest weight is ${MAX_WEIGHT}; write coarser weights.`
        : `${path} ${shown} is greater than ${MAX_WEIGHT}, the greatest weight; write smaller weights in the same proportion.`,
    );
  }
}

/** `svc`, `svc.ns`, `svc.ns.svc`, `svc.ns.svc.<cluster domain>`, with or without a dot at the end. */
function parseService(report: Report, path: string, text: string): ServiceName | undefined {
  const [name = '', namespace, svc, ...domain] = text.replace(/\.$/, '').split('.');
  const wellFormed = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) && (svc === undefined || svc === 'svc');
  if (!wellFormed) {
    report.error(path, 'Invalid', `${path} "${text}" is no name of a Service; write its name alone.`);
    return undefined;
  }
  const own = report.object.meta.namespace;
  if (namespace !== undefined && namespace !== own) {
    report.error(
      path,
      'CrossNamespace',
      `${path} "${text}" is in namespace ${namespace}; a TrafficSplit reaches only its own (${own}).`,
    );
    return undefined;
  }
  return { name, domain: domain.length === 0 ? undefined : domain.join('.') };
}
