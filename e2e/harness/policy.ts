import { nodeRun } from '../cluster/index.ts';
import { apply, clusterName, getObject, podIp, type KubernetesObject } from './node.ts';
import { eventually } from './poll.ts';

const trafficPolicy = (namespace: string, service: string, spec: object): KubernetesObject => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: service, namespace },
  spec: { targetRef: { name: service }, ...spec },
});

interface Judged {
  readonly metadata: { readonly generation: number };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly observedGeneration: number;
    }[];
  };
}

/** Gives a Service this TrafficPolicy and waits until it is in force in every proxy that needs it. */
export async function putPolicy(namespace: string, service: string, spec: object): Promise<void> {
  await apply(trafficPolicy(namespace, service, spec));
  await eventually(
    `the policy of ${service} is programmed`,
    async () => {
      const { metadata, status } = await getObject<Judged>('trafficpolicy', service, namespace);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' && ready.observedGeneration === metadata.generation;
    },
    { deadlineMs: 30_000, everyMs: 100 },
  );
}

/** Asks the one pod of a server itself, from its node; resolves with what it says. */
export async function tell(namespace: string, app: string, path: string): Promise<string> {
  const url = `http://${await podIp(namespace, app)}:8080${path}`;
  return await nodeRun(clusterName, ['curl', '-sS', '--fail', '--max-time', '10', url]);
}
