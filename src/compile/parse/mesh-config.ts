import { type InboundPolicy, type MeshConfigSpec, meshConfig, validateSpec } from '../../api/index.ts';
import { parseDurationMs, parsePortList, type PortRange } from '../../kernel/index.ts';
import type { AccessLog, CustomObject, Network, UnknownDestination } from '../../model/index.ts';
import { parseNetworks } from './networks.ts';
import { memoised, type Parsed, Report } from './report.ts';

/** One mesh, as everything after parsing sees it. */
export interface Mesh {
  readonly name: string;
  readonly object: CustomObject;
  readonly trustDomain: string;
  /** As listed, before anything is known of those meshes. */
  readonly trusts: readonly string[];
  /** Nobody without an identity gets in, whatever policies say. */
  readonly strict: boolean;
  readonly defaultInboundPolicy: InboundPolicy;
  readonly clusterNetworks: readonly Network[];
  readonly probeNetworks: readonly Network[];
  readonly opaquePorts: readonly PortRange[];
  readonly skipInboundPorts: readonly PortRange[];
  readonly unknownDestination: UnknownDestination;
  readonly transport: MeshConfigSpec['transport'];
  readonly accessLog: AccessLog;
  readonly forwardedFor: boolean;
  readonly logLevel: string;
  readonly detectTimeoutMs: number;
  readonly identityAliases: readonly string[];
}

const ACCESS_LOGS = { Off: 'off', Apache: 'apache', Json: 'json' } as const satisfies Record<string, AccessLog>;

/**
 * Always comes to a mesh: proxies need one to go on. What is wrong falls back to its default, except that a spec that the schema refuses admits
 * nobody by default and trusts no other mesh, and an address range that cannot be read counts as none.
 */
export const parseMeshConfig: (object: CustomObject) => Parsed<Mesh> = memoised(object => {
  const report = new Report(object);
  const spec = report.spec(meshConfig);
  return report.parsed(meshOf(report, spec ?? closedDefaults(object)));
});

function meshOf(report: Report, spec: MeshConfigSpec): Mesh {
  return {
    name: report.object.meta.name,
    object: report.object,
    trustDomain: spec.trustDomain,
    trusts: spec.trusts,
    strict: spec.isolation === 'Strict',
    defaultInboundPolicy: spec.defaultInboundPolicy,
    clusterNetworks: parseNetworks(report, 'spec.clusterNetworks', spec.clusterNetworks),
    probeNetworks: parseNetworks(report, 'spec.probeNetworks', spec.probeNetworks),
    opaquePorts: ports(report, 'opaquePorts', spec),
    skipInboundPorts: ports(report, 'skipInboundPorts', spec),
    unknownDestination: spec.unknownDestination === 'Refuse' ? 'refuse' : 'passThrough',
    transport: spec.transport,
    accessLog: ACCESS_LOGS[spec.accessLog],
    forwardedFor: spec.forwardedFor === 'Enabled',
    logLevel: spec.proxy.logLevel,
    detectTimeoutMs: parseDurationMs(spec.detectTimeout) ?? 10_000,
    identityAliases: spec.identityAliases,
  };
}

function ports(report: Report, field: 'opaquePorts' | 'skipInboundPorts', spec: MeshConfigSpec): readonly PortRange[] {
  const parsed = parsePortList(spec[field]);
  if (parsed.ok) return parsed.value;
  const message = `spec.${field}: ${parsed.error}; write ports and ranges between 1 and 65535, like 25,5000-5010.`;
  report.error(`spec.${field}`, 'Invalid', message);
  const fallback = parsePortList(defaults({})[field]);
  return fallback.ok ? fallback.value : [];
}

/** The defaults, with a few settings that are known to be sound; anything else is a bug. */
function defaults(settings: Partial<MeshConfigSpec>): MeshConfigSpec {
  const validated = validateSpec(meshConfig, settings);
  if (!validated.ok) throw new Error('the defaults of MeshConfig do not pass its own schema');
  return validated.value;
}

function closedDefaults(object: CustomObject): MeshConfigSpec {
  const raw = object.spec as Readonly<Record<string, unknown>> | null;
  const { trustDomain, isolation = 'Permissive' } = raw ?? {};
  const closed = {
    defaultInboundPolicy: 'deny',
    isolation: isolation === 'Permissive' ? 'Permissive' : 'Strict',
  } as const;
  const named = typeof trustDomain === 'string' ? validateSpec(meshConfig, { trustDomain, ...closed }) : undefined;
  return named?.ok === true ? named.value : defaults(closed);
}
