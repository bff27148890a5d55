import { stringify } from 'yaml';
import { nodeExec, nodeRun } from '../cluster/index.ts';

/** The node that all cases share; another name runs them beside a node that is in use. */
export const clusterName = process.env['WEFT_E2E_CLUSTER'] ?? 'e2e';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** Runs kubectl in the node's network namespace; rejects with what it printed when it fails. */
export async function kubectl(
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  return await nodeRun(clusterName, ['kubectl', ...args], options);
}

/** Applies objects as a user would (`kubectl apply`); rejects with the API server's own words when one is refused. */
export async function apply(...objects: readonly KubernetesObject[]): Promise<void> {
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], {
    input: objects.map(object => stringify(object)).join('---\n'),
  });
}

/** As `apply`, but the answer is what is of interest: resolves with the error text, or undefined when all were accepted. */
export async function applyError(...objects: readonly KubernetesObject[]): Promise<string | undefined> {
  const { code, stderr } = await nodeExec(
    clusterName,
    ['kubectl', 'apply', '--server-side', '--force-conflicts', '-f', '-'],
    {
      input: objects.map(object => stringify(object)).join('---\n'),
    },
  );
  return code === 0 ? undefined : stderr.trim();
}

export async function getObject<T = KubernetesObject & { status?: Record<string, unknown> }>(
  kind: string,
  name: string,
  namespace?: string,
): Promise<T> {
  const where = namespace === undefined ? [] : ['-n', namespace];
  return JSON.parse(await kubectl(['get', kind, name, ...where, '-o', 'json'])) as T;
}

export async function deleteObject(kind: string, name: string, namespace?: string): Promise<void> {
  const where = namespace === undefined ? [] : ['-n', namespace];
  await kubectl(['delete', kind, name, ...where, '--ignore-not-found', '--wait=true'], { timeoutMs: 90_000 });
}

/** Waits until every replica of a Deployment is updated and available. */
export async function waitRollout(namespace: string, deployment: string): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${deployment}`, '-n', namespace, '--timeout=120s'], {
    timeoutMs: 130_000,
  });
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
    readonly status: {
      readonly podIP?: string;
      readonly podIPs?: readonly { readonly ip: string }[];
      readonly phase?: string;
    };
  }[];
}

export interface PodAddress {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  /** Every address of the pod, both families. */
  readonly ips: readonly string[];
}

/** Addresses of the running pods that a label selector finds. */
export async function podAddresses(namespace: string, selector: string): Promise<PodAddress[]> {
  const list = JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])) as PodList;
  return list.items
    .filter(
      pod =>
        pod.metadata.deletionTimestamp === undefined &&
        pod.status.podIP !== undefined &&
        pod.status.phase === 'Running',
    )
    .map(pod => ({
      name: pod.metadata.name,
      uid: pod.metadata.uid,
      ip: pod.status.podIP ?? '',
      ips: (pod.status.podIPs ?? []).map(({ ip }) => ip),
    }));
}

/** Address of the one running pod of an application. */
export async function podIp(namespace: string, app: string): Promise<string> {
  const [first, ...others] = await podAddresses(namespace, `app=${app}`);
  if (first === undefined || others.length > 0)
    throw new Error(
      `${namespace}/${app}: one running pod expected, ${first === undefined ? 0 : others.length + 1} found`,
    );
  return first.ip;
}
