// Reads everything that one Canary is about. Straight from the API and not from a watch's store, which may be a moment behind what was just written: who
// decides on an old share would take a step twice. Watches only tell that it is worth looking.
import { canary, type CanaryStatus } from '../../api/index.ts';
import { contentHash, err } from '../../kernel/index.ts';
import {
  type ApiClient,
  type Condition,
  isNotFound,
  type RawObject,
  type ResourceType,
  resourcePath,
  SECRETS,
  wholeObject,
} from '../../kube/index.ts';
import { record, records, templateOf, text, textMap } from './deployment.ts';
import { configReferences, copyName } from './desired/configs.ts';
import type { CanaryObject, Observed, Progress, TrackedConfig } from './observed.ts';
import { type CanaryPlan, planOf } from './plan.ts';
import {
  AUTOSCALERS,
  CANARIES,
  CONFIG_MAPS,
  DEPLOYMENTS,
  METRIC_TEMPLATES,
  ROUTE_GROUPS,
  SERVICES,
  SPLITS,
} from './types.ts';

export type Read = (type: ResourceType, namespace: string, name: string) => Promise<RawObject | undefined>;

export function createRead(client: Pick<ApiClient, 'request'>, signal: AbortSignal): Read {
  return async (type, namespace, name) => {
    try {
      const path = resourcePath(type, { namespace, name });
      return wholeObject(type, await client.request({ method: 'GET', path, signal }));
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }
  };
}

/** Undefined: the Canary is gone. */
export async function gather(read: Read, namespace: string, name: string): Promise<Observed | undefined> {
  const raw = await read(CANARIES, namespace, name);
  if (raw === undefined) return undefined;
  const object = canaryOf(raw);
  return object.plan.ok ? await around(read, object, object.plan.value) : { ...nothing, canary: object };
}

const nothing: Omit<Observed, 'canary'> = {
  target: undefined,
  primary: undefined,
  services: { apex: undefined, primary: undefined, canary: undefined },
  split: undefined,
  routeGroup: undefined,
  autoscaler: undefined,
  primaryAutoscaler: undefined,
  configs: [],
  templates: new Map(),
};

async function around(read: Read, object: CanaryObject, plan: CanaryPlan): Promise<Observed> {
  const { namespace } = object;
  const of = async (type: ResourceType, named: string) => await read(type, namespace, named);
  const scaler = plan.autoscaler?.name;
  const [target, primary, apex, primaryService, canaryService, split, routeGroup, autoscaler, primaryAutoscaler] =
    await Promise.all([
      of(DEPLOYMENTS, plan.target),
      of(DEPLOYMENTS, `${plan.target}-primary`),
      of(SERVICES, plan.apex),
      of(SERVICES, `${plan.apex}-primary`),
      of(SERVICES, `${plan.apex}-canary`),
      of(SPLITS, plan.apex),
      plan.strategy.kind === 'ab' ? of(ROUTE_GROUPS, plan.apex) : undefined,
      scaler === undefined ? undefined : of(AUTOSCALERS, scaler),
      scaler === undefined ? undefined : of(AUTOSCALERS, `${scaler}-primary`),
    ]);
  return {
    canary: object,
    target,
    primary,
    services: { apex, primary: primaryService, canary: canaryService },
    split,
    routeGroup,
    autoscaler,
    primaryAutoscaler,
    configs: await trackedConfigs(read, namespace, target),
    templates: await metricTemplates(read, plan),
  };
}

const OPT_OUT = ['weft.dev/config-tracking', 'flagger.app/config-tracking'];

/** Those that exist and do not opt out: the primary has copies of them. */
async function trackedConfigs(
  read: Read,
  namespace: string,
  target: RawObject | undefined,
): Promise<readonly TrackedConfig[]> {
  const references = configReferences(templateOf(target));
  const found = await Promise.all(
    references.map(async ({ kind, name }): Promise<readonly TrackedConfig[]> => {
      const type = kind === 'ConfigMap' ? CONFIG_MAPS : SECRETS;
      const [raw, copy] = await Promise.all([read(type, namespace, name), read(type, namespace, copyName(name))]);
      if (raw === undefined) return [];
      if (OPT_OUT.some(annotation => raw.metadata.annotations?.[annotation]?.startsWith('disable') === true)) return [];
      const hash = contentHash({ data: raw['data'] ?? {}, binaryData: raw['binaryData'] ?? {} });
      return [{ kind, name, raw, hash, copy }];
    }),
  );
  return found.flat();
}

async function metricTemplates(read: Read, { metrics }: CanaryPlan): Promise<ReadonlyMap<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const { query } of metrics) {
    if (query.kind !== 'template') continue;
    const { namespace, name } = query.template;
    const template = await read(METRIC_TEMPLATES, namespace, name);
    if (template !== undefined) found.set(`${namespace}/${name}`, template['spec']);
  }
  return found;
}

function canaryOf(raw: RawObject): CanaryObject {
  const { name, namespace = '', uid = '', annotations = {} } = raw.metadata;
  const { generation, finalizers, deletionTimestamp } = raw.metadata;
  const status = record(raw['status']) as CanaryStatus;
  return {
    namespace,
    name,
    uid,
    generation: typeof generation === 'number' ? generation : 0,
    deleting: deletionTimestamp !== undefined,
    finalizers: Array.isArray(finalizers) ? finalizers.filter(one => typeof one === 'string') : [],
    annotations,
    plan: raw['spec'] === undefined ? noSpec : planOf(namespace, raw['spec'], name),
    progress: progressOf(status),
    conditions: records(status.conditions) as unknown as readonly Condition[],
  };
}

const noSpec = err([{ path: 'spec', message: `is required in a ${canary.kind}` }]);

function progressOf(status: CanaryStatus): Progress {
  return {
    phase: status.phase ?? '',
    canaryWeight: status.canaryWeight ?? 0,
    failedChecks: status.failedChecks ?? 0,
    inconclusiveChecks: status.inconclusiveChecks ?? 0,
    iterations: status.iterations ?? 0,
    lastAppliedSpec: status.lastAppliedSpec ?? '',
    lastPromotedSpec: status.lastPromotedSpec ?? '',
    trackedConfigs: textMap(status.trackedConfigs),
    lastTransitionTime: text(status.lastTransitionTime),
    lastStepTime: text(status.lastStepTime),
    analysisStarted: status.analysisStarted === true,
    draining: status.draining === true,
    gate: text(status.gate),
  };
}

/** As it is stored: without what says nothing. */
export function statusOf(progress: Progress): CanaryStatus {
  const { lastTransitionTime, lastStepTime, gate, analysisStarted, draining, trackedConfigs, ...rest } = progress;
  return {
    ...rest,
    trackedConfigs: { ...trackedConfigs },
    ...(lastTransitionTime === '' ? {} : { lastTransitionTime }),
    ...(lastStepTime === '' ? {} : { lastStepTime }),
    ...(gate === '' ? {} : { gate }),
    ...(analysisStarted ? { analysisStarted } : {}),
    ...(draining ? { draining } : {}),
  };
}
