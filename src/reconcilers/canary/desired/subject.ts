// What every desired object of a Canary is made from.
import { apiVersionOf, type RawMeta, type RawObject, type ResourceType } from '../../../kube/index.ts';
import { matchLabelsOf } from '../deployment.ts';
import type { CanaryObject } from '../observed.ts';
import type { CanaryPlan } from '../plan.ts';
import { CANARIES } from '../types.ts';

export interface Subject {
  readonly canary: CanaryObject;
  readonly plan: CanaryPlan;
  readonly target: RawObject;
}

/** On everything that a Canary makes: its name. */
const CANARY_LABEL = 'weft.dev/canary';
/** On the pods of the primary. */
const ROLE_LABEL = 'weft.dev/canary-role';

export const primaryName = ({ plan }: Pick<Subject, 'plan'>): string => `${plan.target}-primary`;

/** The label by which pods are told apart; of Flagger's choice where it is there, so that names stay as users know them. */
export function tellingLabel(target: RawObject): readonly [string, string] | undefined {
  const labels = matchLabelsOf(target);
  const name =
    ['app', 'name', 'app.kubernetes.io/name'].find(candidate => labels[candidate] !== undefined) ??
    Object.keys(labels).toSorted()[0];
  return name === undefined ? undefined : [name, labels[name] ?? ''];
}

/** All labels that select the target's pods, and none else's. */
export const canarySelector = ({ target }: Subject): Readonly<Record<string, string>> => matchLabelsOf(target);

/** The same for the primary's, which must not be among the target's. */
export function primarySelector({ target }: Subject): Readonly<Record<string, string>> {
  const [name = '', value = ''] = tellingLabel(target) ?? [];
  return { ...matchLabelsOf(target), [name]: `${value}-primary`, [ROLE_LABEL]: 'primary' };
}

export function ownedMeta({ canary }: Pick<Subject, 'canary'>, name: string, more: Partial<RawMeta> = {}): RawMeta {
  return {
    ...more,
    name,
    namespace: canary.namespace,
    labels: { ...more.labels, [CANARY_LABEL]: canary.name },
    ownerReferences: [
      {
        apiVersion: apiVersionOf(CANARIES),
        kind: CANARIES.kind,
        name: canary.name,
        uid: canary.uid,
        controller: true,
        blockOwnerDeletion: false,
      },
    ],
  };
}

export const objectOf = (type: ResourceType, metadata: RawMeta, rest: object): RawObject => ({
  apiVersion: apiVersionOf(type),
  kind: type.kind,
  metadata,
  ...rest,
});
