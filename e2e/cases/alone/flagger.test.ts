// Flagger, unmodified, drives Weft: through the API that it writes for Linkerd and through the three versions of SMI, judging by the metrics of the proxies.
import { beforeAll, expect, it } from 'vitest';
import { install } from '../../../tools/install.ts';
import {
  apply,
  clusterName,
  eventually,
  fileNamespace,
  getObject,
  type KubernetesObject,
  kubectl,
  loadtester,
  startFlagger,
  waitRollout,
} from '../../harness/index.ts';
import { podinfoImage } from '../../harness/images.ts';

const namespace = fileNamespace('flagger');

interface Release {
  readonly name: string;
  readonly provider: string;
  /** What the new revision is started with. */
  readonly flags: readonly string[];
  readonly ends: 'Succeeded' | 'Failed';
  /** Of the events that tell why. */
  readonly says: RegExp;
}

const good = { flags: [], ends: 'Succeeded', says: /Promotion completed!/ } as const;
const RELEASES: readonly Release[] = [
  { name: 'good', provider: 'linkerd', ...good },
  {
    name: 'failing',
    provider: 'linkerd',
    flags: ['--random-error=true'],
    ends: 'Failed',
    says: /advancement success rate [0-9.]+% < 99%/,
  },
  {
    name: 'slow',
    provider: 'linkerd',
    flags: ['--random-delay=true', '--random-delay-unit=ms', '--random-delay-min=700', '--random-delay-max=900'],
    ends: 'Failed',
    says: /advancement request duration [0-9.a-z]+ > 500ms/,
  },
  { name: 'smi-one', provider: 'smi:v1alpha1', ...good },
  { name: 'smi-two', provider: 'smi:v1alpha2', ...good },
  { name: 'smi-three', provider: 'smi:v1alpha3', ...good },
];

function app({ name }: Release, revision: string, flags: readonly string[] = []): KubernetesObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'podinfo',
              image: podinfoImage,
              imagePullPolicy: 'IfNotPresent',
              command: ['/podinfo', '--port=9898', '--level=error', `--ui-message=${revision}`, ...flags],
              ports: [{ name: 'http', containerPort: 9898 }],
              readinessProbe: { httpGet: { path: '/readyz', port: 9898 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

function canary({ name, provider }: Release): KubernetesObject {
  return {
    apiVersion: 'flagger.app/v1beta1',
    kind: 'Canary',
    metadata: { name, namespace },
    spec: {
      provider,
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      progressDeadlineSeconds: 120,
      service: { port: 9898, targetPort: 9898 },
      analysis: {
        interval: '10s',
        threshold: 3,
        maxWeight: 60,
        stepWeight: 30,
        metrics: [
          { name: 'request-success-rate', thresholdRange: { min: 99 }, interval: '30s' },
          { name: 'request-duration', thresholdRange: { max: 500 }, interval: '30s' },
        ],
        webhooks: [
          {
            name: 'load',
            url: `http://flagger-loadtester.${namespace}/`,
            timeout: '5s',
            metadata: { cmd: `hey -z 60s -q 10 -c 2 http://${name}.${namespace}:9898/` },
          },
        ],
      },
    },
  };
}

const phase = async (name: string): Promise<string | undefined> =>
  (await getObject<{ status?: { phase?: string } }>('canaries.flagger.app', name, namespace)).status?.phase;

const revisionOf = async (deployment: string): Promise<string | undefined> =>
  (
    await getObject<{
      spec: { template: { spec: { containers: readonly { command: readonly string[] }[] } } };
    }>('deployment', deployment, namespace)
  ).spec.template.spec.containers[0]?.command.find(flag => flag.startsWith('--ui-message='));

async function eventsOf(name: string): Promise<string> {
  const { items } = JSON.parse(
    await kubectl(['get', 'events', '-n', namespace, '--field-selector', `involvedObject.name=${name}`, '-o', 'json']),
  ) as { items: readonly { readonly message: string }[] };
  return items.map(({ message }) => message).join('\n');
}

beforeAll(async () => {
  // Flagger is no part of the mesh: whom the operator answers without a token is said by name.
  await install(clusterName, { helmArgs: ['--set=signals.allow={flagger-system/flagger}'] });
  await startFlagger('http://weft-operator.weft-system:8091');
  await apply(...loadtester(namespace), ...RELEASES.map(release => app(release, 'one')));
  await waitRollout(namespace, 'flagger-loadtester');
  await Promise.all(RELEASES.map(({ name }) => waitRollout(namespace, name)));
  await apply(...RELEASES.map(canary));
  for (const { name } of RELEASES)
    await eventually(`${name} is taken over`, async () => (await phase(name)) === 'Initialized', {
      deadlineMs: 300_000,
      everyMs: 1_000,
    });
}, 600_000);

it('promotes what is good and takes back what fails or is slow, whichever API it writes', async () => {
  await apply(...RELEASES.map(release => app(release, 'two', release.flags)));
  const weights = new Map<string, Set<number>>();
  await Promise.all(
    RELEASES.map(async ({ name, ends }) => {
      const seen = new Set<number>();
      weights.set(name, seen);
      await eventually(
        `${name} ends ${ends}`,
        async () => {
          const { spec } = await getObject<{ spec: { backends: readonly { service: string; weight: number }[] } }>(
            'trafficsplits.v1alpha4.split.smi-spec.io',
            name,
            namespace,
          );
          seen.add(Number(spec.backends.find(({ service }) => service === `${name}-canary`)?.weight));
          const now = await phase(name);
          // The other end would never become this one.
          if ((now === 'Succeeded' || now === 'Failed') && now !== ends) throw new Error(await eventsOf(name));
          return now === ends;
        },
        { deadlineMs: 600_000, everyMs: 1_000 },
      );
    }),
  );
  for (const { name, ends, says } of RELEASES) {
    const events = await eventsOf(name);
    expect(events, name).toMatch(says);
    expect([...(weights.get(name) ?? [])].toSorted((a, b) => a - b).slice(0, 2), name).toEqual([0, 30]);
    expect(await revisionOf(`${name}-primary`), name).toBe(`--ui-message=${ends === 'Succeeded' ? 'two' : 'one'}`);
  }
}, 900_000);
