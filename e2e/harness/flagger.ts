import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ensureComponent } from '../../tools/components/build.ts';
import { ensureImage, imageTag } from '../../tools/image/index.ts';
import { loadImage } from '../cluster/index.ts';
import { apply, clusterName, type KubernetesObject, kubectl, waitRollout } from './node.ts';

const namespace = 'flagger-system';

/** Flagger as its users install it, unmodified: its own CRDs and rights, with Weft as its mesh. Resolves once it runs. */
export async function startFlagger(metricsServer: string): Promise<void> {
  const assets = join(dirname(await ensureComponent('flagger')), 'assets');
  for (const image of ['flagger', 'flagger-loadtester'] as const)
    await loadImage(clusterName, await ensureImage(image));
  await kubectl(['apply', '--server-side', '-f', join(assets, 'crd.yaml')]);
  // The account is written for the namespace `default`.
  const account = (await readFile(join(assets, 'account.yaml'), 'utf8')).replaceAll(
    'namespace: default',
    `namespace: ${namespace}`,
  );
  await apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...parseAllDocuments(account).map(document => document.toJS() as KubernetesObject),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'flagger', namespace },
      spec: {
        selector: { matchLabels: { app: 'flagger' } },
        template: {
          metadata: { labels: { app: 'flagger' } },
          spec: {
            serviceAccountName: 'flagger',
            containers: [
              {
                name: 'flagger',
                image: imageTag('flagger'),
                imagePullPolicy: 'IfNotPresent',
                args: [
                  '-mesh-provider=linkerd',
                  `-metrics-server=${metricsServer}`,
                  '-selector-labels=app',
                  '-control-loop-interval=2s',
                  '-log-level=info',
                ],
                readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
  );
  await waitRollout(namespace, 'flagger');
}

/** Flagger's load tester, in the mesh, with a Service of its name. */
export function loadtester(of: string): KubernetesObject[] {
  const name = 'flagger-loadtester';
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: of },
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: 'loadtester',
                image: imageTag(name),
                imagePullPolicy: 'IfNotPresent',
                args: ['-port=8080', '-log-level=info', '-timeout=1h'],
                ports: [{ name: 'http', containerPort: 8080 }],
                readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: of },
      spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
  ];
}
