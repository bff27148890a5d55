// Canaries as the API server has them.
import { isRecord } from '../../../kube/raw-object.ts';
import { CliError, EXIT } from '../../exit-code.ts';
import type { Session } from '../../session.ts';

type Json = Readonly<Record<string, unknown>>;

export interface CanaryState {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly weight: number;
  readonly failedChecks: number;
  readonly iterations: number;
  readonly suspended: boolean;
  /** What holds the run, or why the object is not acted on; empty: nothing. */
  readonly held: string;
  readonly lastTransitionTime: string;
  /** The revision of the run. */
  readonly revision: string;
  readonly annotated: boolean;
}

/** Phases in which a revision is being judged. */
export const isRunning = ({ phase }: CanaryState): boolean => ['Progressing', 'WaitingPromotion'].includes(phase);
/** Phases at which a run has come to its end. */
export const isOver = ({ phase }: CanaryState): boolean => ['Initialized', 'Succeeded', 'Failed'].includes(phase);

const record = (value: unknown): Json => (isRecord(value) ? value : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

export function canaryPath(namespace: string | undefined, name?: string): string {
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/weft.dev/v1alpha1${within}/canaries${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** Undefined: in all namespaces. */
export async function readCanaries(session: Session, namespace: string | undefined): Promise<readonly CanaryState[]> {
  const list = await session.cluster.get(canaryPath(namespace));
  if (list === undefined)
    throw new CliError(EXIT.failed, 'the cluster knows no Canary of weft.dev', 'is Weft installed in this cluster?');
  const items = isRecord(list) && Array.isArray(list['items']) ? list['items'].filter(isRecord) : [];
  return items.map(stateOf).toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

export async function readCanary(session: Session, namespace: string, name: string): Promise<CanaryState> {
  const object = await session.cluster.get(canaryPath(namespace, name));
  if (!isRecord(object))
    throw new CliError(EXIT.failed, `there is no Canary ${namespace}/${name}`, 'list them: weft canary list');
  return stateOf(object);
}

function stateOf(object: Json): CanaryState {
  const metadata = record(object['metadata']);
  const status = record(object['status']);
  const conditions = (Array.isArray(status['conditions']) ? status['conditions'] : []).filter(isRecord);
  const accepted = conditions.find(({ type }) => type === 'Accepted');
  return {
    namespace: text(metadata['namespace']),
    name: text(metadata['name']),
    phase: text(status['phase']),
    weight: number(status['canaryWeight']),
    failedChecks: number(status['failedChecks']),
    iterations: number(status['iterations']),
    suspended: record(object['spec'])['suspend'] === true,
    held: accepted?.['status'] === 'False' ? text(accepted['message']) : text(status['gate']),
    lastTransitionTime: text(status['lastTransitionTime']),
    revision: text(status['lastAppliedSpec']),
    annotated: metadata['annotations'] !== undefined,
  };
}
