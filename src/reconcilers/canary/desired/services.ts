// The three Services: the one that clients call, and those of the two versions.
import type { RawObject } from '../../../kube/index.ts';
import { containersOf, record, records, specOf, templateOf, text, textMap } from '../deployment.ts';
import { isOwnedBy } from '../route.ts';
import { SERVICES } from '../types.ts';
import { canarySelector, objectOf, ownedMeta, primarySelector, type Subject } from './subject.ts';

/** On the Service that clients call: whom it selected before. */
const FORMER_SELECTOR = 'weft.dev/canary-former-selector';
/** Flux would set the selector back. */
const LEFT_ALONE = {
  'kustomize.toolkit.fluxcd.io/reconcile': 'disabled',
  'helm.toolkit.fluxcd.io/driftDetection': 'disabled',
};
const PROXIES = new Set(['weft-proxy', 'linkerd-proxy', 'istio-proxy', 'envoy']);

interface Port {
  readonly name: string;
  readonly port: number;
  readonly targetPort: number | string;
  readonly protocol: 'TCP';
  readonly appProtocol?: string;
}

function portsOf({ plan, target }: Subject): readonly Port[] {
  const { port, portName, targetPort = port, appProtocol, portDiscovery } = plan.service;
  const first: Port = {
    name: portName,
    port,
    targetPort,
    protocol: 'TCP',
    ...(appProtocol === undefined ? {} : { appProtocol }),
  };
  return portDiscovery ? [first, ...discovered(target, first)] : [first];
}

function discovered(target: RawObject, first: Port): readonly Port[] {
  const found = new Map<number, Port>();
  const names = new Set([first.name]);
  for (const container of containersOf(templateOf(target))) {
    if (PROXIES.has(text(container['name']))) continue;
    for (const [index, { name, containerPort, protocol = 'TCP' }] of records(container['ports']).entries()) {
      const number = Number(containerPort);
      const known = number === first.port || number === first.targetPort || name === first.targetPort;
      if (known || protocol !== 'TCP' || found.has(number)) continue;
      const given = text(name) || `tcp-${text(container['name'])}-${index}`.slice(0, 15).replace(/-+$/, '');
      const unique = names.has(given) ? `tcp-${number}` : given;
      names.add(unique);
      found.set(number, { name: unique, port: number, targetPort: number, protocol: 'TCP' });
    }
  }
  return [...found.values()].toSorted((a, b) => a.port - b.port);
}

function service(subject: Subject, role: 'primary' | 'canary', selector: Readonly<Record<string, string>>): RawObject {
  const { plan } = subject;
  const { labels = {}, annotations = {} } = plan.service[role] ?? {};
  const metadata = ownedMeta(subject, `${plan.apex}-${role}`, {
    labels,
    annotations: { ...annotations, ...LEFT_ALONE },
  });
  return objectOf(SERVICES, metadata, { spec: { ...distribution(subject), selector, ports: portsOf(subject) } });
}

const distribution = ({ plan }: Subject): object =>
  plan.service.trafficDistribution === undefined ? {} : { trafficDistribution: plan.service.trafficDistribution };

export const primaryService = (subject: Subject): RawObject => service(subject, 'primary', primarySelector(subject));
export const canaryService = (subject: Subject): RawObject => service(subject, 'canary', canarySelector(subject));

const mayTouch = (apex: RawObject | undefined, { canary }: Subject): boolean =>
  apex === undefined || isOwnedBy(apex, canary.uid);

/**
 * The Service that clients call selects the primary. One that a user made stays the user's: of it only the selector is changed (and remembered), and a
 * port added that is missing.
 */
export function apexService(subject: Subject, apex: RawObject | undefined): { object: RawObject; own: boolean } {
  const { plan } = subject;
  const { labels = {}, annotations = {} } = plan.service.apex ?? {};
  const selector = primarySelector(subject);
  if (mayTouch(apex, subject)) {
    const metadata = ownedMeta(subject, plan.apex, { labels, annotations: { ...annotations, ...LEFT_ALONE } });
    const spec = { ...distribution(subject), selector, ports: portsOf(subject) };
    return { object: objectOf(SERVICES, metadata, { spec }), own: true };
  }
  const there = records(specOf(apex)['ports']);
  // One of another name or target is the user's; one like ours may be ours, and stays only for as long as it is said.
  const missing = portsOf(subject).filter(
    ({ port, name, targetPort }) =>
      !there.some(has => has['port'] === port && (has['name'] !== name || has['targetPort'] !== targetPort)),
  );
  const metadata = {
    name: plan.apex,
    namespace: subject.canary.namespace,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    annotations: { ...annotations, ...LEFT_ALONE, [FORMER_SELECTOR]: formerSelector(subject, apex) },
  };
  const ports = missing.length === 0 ? {} : { ports: missing };
  return { object: objectOf(SERVICES, metadata, { spec: { selector, ...ports } }), own: false };
}

function formerSelector(subject: Subject, apex: RawObject | undefined): string {
  const kept = apex?.metadata.annotations?.[FORMER_SELECTOR];
  if (kept !== undefined) return kept;
  const now = textMap(specOf(apex)['selector']);
  const ours = JSON.stringify(sorted(now)) === JSON.stringify(sorted(primarySelector(subject)));
  return JSON.stringify(ours ? canarySelector(subject) : now);
}

const sorted = (map: Readonly<Record<string, string>>) => Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));

/** The same Service as it was before, and nobody's but the user's. */
export function givenBack(subject: Subject, apex: RawObject): RawObject {
  const { plan, canary } = subject;
  const former: unknown = parsed(apex.metadata.annotations?.[FORMER_SELECTOR]);
  const selector = former === undefined ? canarySelector(subject) : textMap(record(former));
  const own = isOwnedBy(apex, canary.uid);
  const metadata = { name: plan.apex, namespace: canary.namespace };
  return objectOf(SERVICES, metadata, { spec: { selector, ...(own ? { ports: portsOf(subject) } : {}) } });
}

export const isGivenBack = ({ canary }: Subject, apex: RawObject): boolean =>
  !isOwnedBy(apex, canary.uid) && apex.metadata.annotations?.[FORMER_SELECTOR] === undefined;

function parsed(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    return undefined;
  }
}
