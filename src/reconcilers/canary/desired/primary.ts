// The primary: the Deployment that serves, made from the target's template of a revision that was found good.
import type { RawObject } from '../../../kube/index.ts';
import { record, records, replicasOf, specOf, templateOf, textMap } from '../deployment.ts';
import type { TrackedConfig } from '../observed.ts';
import { REVISION } from '../revision.ts';
import { AUTOSCALERS, DEPLOYMENTS } from '../types.ts';
import { copyName, renamed } from './configs.ts';
import { objectOf, ownedMeta, primaryName, primarySelector, type Subject, tellingLabel } from './subject.ts';

type Json = Readonly<Record<string, unknown>>;

const COPIED = ['minReadySeconds', 'revisionHistoryLimit', 'strategy', 'progressDeadlineSeconds'];

export interface PrimaryInput extends Subject {
  readonly primary: RawObject | undefined;
  readonly configs: readonly TrackedConfig[];
  readonly revision: string;
}

export function primaryDeployment(input: PrimaryInput): RawObject {
  const { target, revision } = input;
  const spec = specOf(target);
  const selector = primarySelector(input);
  const metadata = ownedMeta(input, primaryName(input), { annotations: { [REVISION]: revision } });
  return objectOf(DEPLOYMENTS, metadata, {
    spec: {
      ...Object.fromEntries(COPIED.filter(field => spec[field] !== undefined).map(field => [field, spec[field]])),
      replicas: replicasFor(input),
      selector: { matchLabels: selector },
      template: primaryTemplate(input, selector),
    },
  });
}

/** An autoscaler's number is its own; else the target's, unless that is scaled down. */
function replicasFor({ primary, plan, target }: PrimaryInput): number {
  const [now, wanted] = [primary === undefined ? 0 : replicasOf(primary), replicasOf(target)];
  if (now > 0 && (plan.autoscaler !== undefined || wanted === 0)) return now;
  return Math.max(1, wanted);
}

function primaryTemplate({ target, configs, revision }: PrimaryInput, selector: Json): Json {
  const template = templateOf(target);
  const tracked = new Set(configs.map(({ kind, name }) => `${kind}/${name}`));
  const { metadata, spec } = renamed(template, ({ kind, name }) =>
    tracked.has(`${kind}/${name}`) ? copyName(name) : name,
  );
  const { labels, annotations, ...rest } = record(metadata);
  const { creationTimestamp: _never, ...meta } = rest;
  return {
    metadata: {
      ...meta,
      labels: { ...textMap(labels), ...selector },
      // Other content of a ConfigMap alone must also make new pods.
      annotations: { ...textMap(annotations), [REVISION]: revision },
    },
    spec: apartFrom(record(spec), tellingLabel(target)),
  };
}

/** Where the pods keep away from their own kind, the primary's keep away from the primary's. */
function apartFrom(spec: Json, telling: readonly [string, string] | undefined): Json {
  if (telling === undefined) return spec;
  const [label, value] = telling;
  const values = (given: unknown): unknown =>
    Array.isArray(given) ? given.map((one: unknown) => (one === value ? `${value}-primary` : one)) : given;
  const selector = (given: unknown): Json => {
    const { matchLabels, matchExpressions, ...rest } = record(given);
    const labels = textMap(matchLabels);
    const changed = labels[label] === value ? { ...labels, [label]: `${value}-primary` } : labels;
    return {
      ...rest,
      ...(matchLabels === undefined ? {} : { matchLabels: changed }),
      ...(matchExpressions === undefined
        ? {}
        : {
            matchExpressions: records(matchExpressions).map(one =>
              one['key'] === label ? { ...one, values: values(one['values']) } : one,
            ),
          }),
    };
  };
  const term = (given: Json): Json =>
    given['labelSelector'] === undefined ? given : { ...given, labelSelector: selector(given['labelSelector']) };
  const preferred = (given: Json): Json => ({ ...given, podAffinityTerm: term(record(given['podAffinityTerm'])) });
  const mapped = (holder: Json, field: string, change: (item: Json) => Json): Json =>
    holder[field] === undefined ? holder : { ...holder, [field]: records(holder[field]).map(change) };
  const spread = mapped(spec, 'topologySpreadConstraints', term);
  const affinity = record(spread['affinity']);
  if (affinity['podAntiAffinity'] === undefined) return spread;
  const required = mapped(record(affinity['podAntiAffinity']), 'requiredDuringSchedulingIgnoredDuringExecution', term);
  const podAntiAffinity = mapped(required, 'preferredDuringSchedulingIgnoredDuringExecution', preferred);
  return { ...spread, affinity: { ...affinity, podAntiAffinity } };
}

export function primaryAutoscaler(subject: Subject, autoscaler: RawObject): RawObject {
  const { minReplicas, maxReplicas } = subject.plan.autoscaler?.primaryScalerReplicas ?? {};
  const spec = specOf(autoscaler);
  return objectOf(AUTOSCALERS, ownedMeta(subject, `${autoscaler.metadata.name}-primary`), {
    spec: {
      ...spec,
      ...(minReplicas === undefined ? {} : { minReplicas }),
      ...(maxReplicas === undefined ? {} : { maxReplicas }),
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: primaryName(subject) },
    },
  });
}

/** Only the number of replicas: all else of the target is the user's. */
export const scaled = ({ canary, plan }: Pick<Subject, 'canary' | 'plan'>, replicas: number): RawObject =>
  objectOf(DEPLOYMENTS, { name: plan.target, namespace: canary.namespace }, { spec: { replicas } });
