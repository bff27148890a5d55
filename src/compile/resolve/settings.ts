import { type InboundPolicy, INBOUND_POLICIES } from '../../api/index.ts';
import {
  DEFAULT_MESH,
  MESH_LABEL,
  meshConfigKey,
  type ObjectKey,
  parsePortList,
  type Problem,
  PROXY_LABEL,
  setting,
  settingKey,
} from '../../kernel/index.ts';
import type { AccessLog, ObjectMeta, PodFacts } from '../../model/index.ts';
import { type Mesh, parseServiceAnnotations } from '../parse/index.ts';
import { podSetting, type World } from './world.ts';

const ACCESS_LOGS: ReadonlyMap<string, AccessLog> = new Map([
  ['off', 'off'],
  ['none', 'off'],
  ['apache', 'apache'],
  ['json', 'json'],
]);

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ['enabled', true],
  ['disabled', false],
]);

/** Who may call ports without a Server: annotation of the pod, of the namespace, then the mesh. What cannot be read admits nobody. */
export function inboundPolicyOf(world: World, mesh: Mesh, pod: PodFacts): InboundPolicy {
  const text = podSetting(world, pod, 'default-inbound-policy');
  if (text === undefined) return mesh.defaultInboundPolicy;
  return INBOUND_POLICIES.find(policy => policy === text) ?? 'deny';
}

export function accessLogOf(world: World, mesh: Mesh, pod: PodFacts): AccessLog {
  return ACCESS_LOGS.get(podSetting(world, pod, 'access-log')?.toLowerCase() ?? '') ?? mesh.accessLog;
}

/** Whether the pod is told who calls it: its own annotation, that of its namespace, then the mesh. */
export function forwardedForOf(world: World, mesh: Mesh, pod: PodFacts): boolean {
  return SWITCH.get(podSetting(world, pod, 'forwarded-for')?.toLowerCase() ?? '') ?? mesh.forwardedFor;
}

/** What is wrong with the annotations and labels of the objects that we read settings from. */
export function settingProblems(world: World): readonly Problem[] {
  const { namespaces, pods, services } = world.snapshot;
  return [
    ...[...namespaces.values()].flatMap(({ key, meta }) => [
      ...settingFaults(key, meta),
      ...meshFaults(world, key, meta),
    ]),
    ...[...pods.values()]
      .filter(pod => PROXY_LABEL in pod.meta.labels)
      .flatMap(({ key, meta }) => settingFaults(key, meta)),
    ...[...services.values()].flatMap(service => [
      ...settingFaults(service.key, service.meta),
      ...parseServiceAnnotations(service).problems,
    ]),
  ];
}

function settingFaults(object: ObjectKey, { annotations }: ObjectMeta): readonly Problem[] {
  const faults: Problem[] = [];
  // Most objects have none, and this is asked of every one of them.
  if (Object.keys(annotations).length === 0) return faults;
  const report = (name: Parameters<typeof setting>[1], fault: string): void => {
    const path = `metadata.annotations["${settingKey(annotations, name)}"]`;
    faults.push({ object, path, reason: 'InvalidSetting', message: `${path}: ${fault}.`, severity: 'warning' });
  };
  const policy = setting(annotations, 'default-inbound-policy');
  if (policy !== undefined && !INBOUND_POLICIES.some(known => known === policy)) {
    report('default-inbound-policy', `"${policy}" is none of ${INBOUND_POLICIES.join(', ')}, so nobody is let in`);
  }
  const accessLog = setting(annotations, 'access-log');
  if (accessLog !== undefined && !ACCESS_LOGS.has(accessLog.toLowerCase())) {
    report('access-log', `"${accessLog}" is none of off, apache, json, so the format of the mesh is used`);
  }
  const forwardedFor = setting(annotations, 'forwarded-for');
  if (forwardedFor !== undefined && !SWITCH.has(forwardedFor.toLowerCase())) {
    report('forwarded-for', `"${forwardedFor}" is neither enabled nor disabled, so the mesh decides`);
  }
  for (const name of ['opaque-ports', 'skip-inbound-ports', 'skip-outbound-ports'] as const) {
    const parsed = parsePortList((setting(annotations, name) ?? '').trimStart().replace(/^\+/, ''));
    if (!parsed.ok) report(name, `${parsed.error}, so the list of the mesh is used`);
  }
  return faults;
}

function meshFaults(world: World, object: ObjectKey, meta: ObjectMeta): readonly Problem[] {
  const mesh = meta.labels[MESH_LABEL];
  if (mesh === undefined || world.snapshot.meshConfigs.has(meshConfigKey(mesh))) return [];
  const path = `metadata.labels["${MESH_LABEL}"]`;
  const message = `${path}: there is no MeshConfig ${mesh}, so pods of this namespace get no proxy; create it, or remove the label for ${DEFAULT_MESH}.`;
  return [{ object, path, reason: 'MeshNotFound', message, severity: 'warning' }];
}
