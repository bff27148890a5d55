import type { ProxyCondition, ProxyConfigAnswer, ProxyCounts, ProxyResource, ProxySummary } from '../contract/index.ts';
import { nameOf } from '../kernel/index.ts';
import type { ConfigSource, HeldResource, ProxyState } from '../model/index.ts';

/** `self`: name of the replica that answers. */
export function summarise(proxy: ProxyState, self: string): ProxySummary {
  const { namespace, name } = nameOf(proxy.who.podKey);
  const refused = proxy.resources.filter(isRefused).length;
  const current = proxy.resources.filter(isCurrent).length;
  return {
    namespace,
    pod: name,
    replica: proxy.replica === '' ? self : proxy.replica,
    podUid: proxy.who.podUid,
    mesh: proxy.who.view.mesh,
    node: proxy.who.view.node,
    zone: proxy.who.view.zone,
    version: proxy.proxyVersion,
    connectedAt: new Date(proxy.connectedAtMs).toISOString(),
    lastHeardAt: new Date(proxy.lastHeardMs).toISOString(),
    state: conditionOf(proxy, { refused, current }),
    resources: { total: proxy.resources.length, current, refused },
  };
}

export function countProxies(proxies: readonly ProxySummary[]): ProxyCounts {
  const having = (state: ProxyCondition) => proxies.filter(proxy => proxy.state === state).length;
  return {
    connected: proxies.length,
    current: having('current'),
    silent: having('silent'),
    refusing: having('refusing'),
  };
}

export function configOf(proxy: ProxyState, config: ConfigSource): Pick<ProxyConfigAnswer, 'resources'> {
  const resources = proxy.resources.map(held => resourceOf(held, proxy, config));
  return { resources: resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

function resourceOf(held: HeldResource, proxy: ProxyState, config: ConfigSource): ProxyResource {
  const compiled = config.resource(proxy.who, held.name);
  return {
    name: held.name,
    version: compiled?.version ?? '',
    sentVersion: held.sentVersion,
    ackedVersion: held.ackedVersion,
    current: compiled !== undefined && compiled.version === held.ackedVersion,
    refusal: held.nackReason ?? '',
    derivedFrom: (compiled?.derivedFrom ?? []).map(({ key, generation }) => ({ object: key, generation })),
    body: compiled === undefined ? null : printable(compiled.body),
  };
}

/** Bytes as base64, maps as objects: what JSON has no word for. */
export function printable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(printable);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), printable(item)]));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, printable(item)]));
}

function conditionOf(proxy: ProxyState, state: { refused: number; current: number }): ProxyCondition {
  if (proxy.silent) return 'silent';
  if (state.refused > 0) return 'refusing';
  return state.current === proxy.resources.length ? 'current' : 'updating';
}

function isRefused(held: HeldResource): boolean {
  return held.nackReason !== undefined;
}

function isCurrent(held: HeldResource): boolean {
  return held.sentVersion === held.ackedVersion;
}
