// What one pod's proxy is set to: the pod's annotations, then its namespace's, then the MeshConfig. A value that cannot be read is left out with a
// warning, never copied into the pod, where it could keep the pod from being made.
import type { MeshConfigSpec } from '../../api/index.ts';
import {
  type SettingName,
  parseDurationMs,
  parsePortList,
  parseQuantity,
  setting,
  settingKey,
} from '../../kernel/index.ts';
import { ADMIN_PORT } from './names.ts';
import type { StringMap } from './pod.ts';

export interface ProxySettings {
  /** Lists as `weft-proxy init` takes them. */
  readonly skipInboundPorts: string;
  readonly skipOutboundPorts: string;
  /** Empty: the proxy's own default. */
  readonly logLevel: string;
  readonly resources: { readonly requests: StringMap; readonly limits: StringMap };
  readonly drainSeconds: number;
  readonly nativeSidecar: boolean;
  /** The CNI plugin of the node writes the rules, not an init container. */
  readonly byPlugin: boolean;
}

export interface SettingsSource {
  readonly pod: StringMap;
  readonly namespace: StringMap;
  readonly mesh: MeshConfigSpec;
  /** The cluster has native sidecars. */
  readonly nativeSidecars: boolean;
}

export function proxySettings(source: SettingsSource, warnings: string[]): ProxySettings {
  const read: Read = (name, isGood, wants) => {
    for (const annotations of [source.pod, source.namespace]) {
      const value = setting(annotations, name)?.trim();
      if (value === undefined) continue;
      if (isGood(value)) return value;
      warnings.push(`${settingKey(annotations, name)}: "${value}" is ignored; it must be ${wants}`);
    }
    return undefined;
  };
  const ports = (name: SettingName, meshDefault: string): string => {
    const value = read(
      name,
      text => parsePortList(text.replace(/^\+/, '')).ok,
      'ports and ranges such as 25,5000-5010',
    );
    if (value === undefined) return meshDefault;
    return value.startsWith('+') ? join(meshDefault, value.slice(1)) : value;
  };
  const { proxy } = source.mesh;
  const quantity = (name: SettingName): string | undefined =>
    read(name, text => parseQuantity(text) !== undefined, 'a quantity such as 100m or 64Mi');
  const requests = overlay(proxy.resources.requests, {
    cpu: quantity('proxy-cpu-request'),
    memory: quantity('proxy-memory-request'),
  });
  const limits = overlay(proxy.resources.limits, {
    cpu: quantity('proxy-cpu-limit'),
    memory: quantity('proxy-memory-limit'),
  });
  return {
    // The proxy's own port for probes and metrics must be reached as it is.
    skipInboundPorts: join(String(ADMIN_PORT), ports('skip-inbound-ports', source.mesh.skipInboundPorts)),
    skipOutboundPorts: join(ports('skip-outbound-ports', source.mesh.skipOutboundPorts)),
    logLevel:
      read('proxy-log-level', text => /^[\x21-\x7e]{1,256}$/.test(text), 'a filter such as warn,weft=info') ??
      proxy.logLevel,
    resources: { requests: atMost(requests, limits), limits },
    nativeSidecar: source.nativeSidecars && native(source, read),
    byPlugin:
      (read('redirect', text => text === 'init' || text === 'cni', 'init or cni') ?? proxy.redirect.toLowerCase()) ===
      'cni',
    drainSeconds: Math.ceil((parseDurationMs(proxy.drainTimeout) ?? 30_000) / 1_000),
  };
}

type Read = (name: SettingName, isGood: (value: string) => boolean, wants: string) => string | undefined;

function native({ mesh }: SettingsSource, read: Read): boolean {
  const asked = read('proxy-enable-native-sidecar', text => text === 'true' || text === 'false', 'true or false');
  return asked === undefined ? mesh.proxy.sidecar !== 'Container' : asked === 'true';
}

/** A limit below the request, e.g. one annotation over a default of the mesh, would have the pod refused: the request follows it. */
function atMost(requests: StringMap, limits: StringMap): StringMap {
  const fits = ([name, value]: [string, string]): boolean => {
    const [request, limit] = [parseQuantity(value), parseQuantity(limits[name] ?? value)];
    if (request === undefined || limit === undefined) return true;
    return request.numerator * limit.denominator <= limit.numerator * request.denominator;
  };
  return Object.fromEntries(
    Object.entries(requests).map(entry => (fits(entry) ? entry : [entry[0], limits[entry[0]] ?? entry[1]])),
  );
}

function join(...lists: readonly string[]): string {
  const elements = lists.flatMap(list => list.split(',')).map(element => element.trim());
  return [...new Set(elements.filter(element => element !== ''))].join(',');
}

function overlay(base: StringMap, over: Readonly<Record<string, string | undefined>>): StringMap {
  const merged = { ...base };
  for (const [name, value] of Object.entries(over)) if (value !== undefined) merged[name] = value;
  return merged;
}
