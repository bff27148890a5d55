import { join } from 'node:path';
import { expect, test } from 'vitest';
import { helm, helmLint, helmTemplate, type Manifest, manifests } from './helm.ts';

const chart = join(import.meta.dirname, '../../charts/weft');

test.each([
  { name: 'the default values', args: [] },
  { name: 'the HA profile', args: ['-f', join(chart, 'values-ha.yaml')] },
  { name: 'the CNI plugin', args: ['--set=cni.enabled=true'] },
])('helm lint accepts $name', async ({ args }) => {
  expect(await helmLint(...args)).toContain('0 chart(s) failed');
});

test('every value that a pod can have reaches the pod', async () => {
  const pod = podOf(
    await render(
      '--set-json=operator.tolerations=[{"key":"a","operator":"Exists"}]',
      '--set-json=operator.affinity={"nodeAffinity":{}}',
      '--set-json=operator.topologySpreadConstraints=[{"maxSkew":1}]',
      '--set-json=imagePullSecrets=[{"name":"pull"}]',
      '--set=operator.nodeSelector.disk=ssd,operator.priorityClassName=system-cluster-critical,operator.runtimeClassName=kata',
      '--set=operator.schedulerName=mine,operator.terminationGracePeriodSeconds=7,operator.resources.limits.cpu=2',
      '--set=operator.podLabels.team=mesh,operator.podAnnotations.note=x,commonLabels.team=all',
      '--set=operator.podSecurityContext.fsGroup=9,operator.securityContext.privileged=false',
      '--set-json=operator.extraEnv=[{"name":"A","value":"b"}]',
      '--set-json=operator.extraArgs=["--x"]',
    ),
  );
  expect(pod.metadata).toMatchObject({
    labels: { team: 'mesh' },
    annotations: { note: 'x', 'weft.dev/inject': 'disabled' },
  });
  expect(pod.spec).toMatchObject({
    tolerations: [{ key: 'a', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    topologySpreadConstraints: [{ maxSkew: 1 }],
    imagePullSecrets: [{ name: 'pull' }],
    nodeSelector: { disk: 'ssd', 'kubernetes.io/os': 'linux' },
    priorityClassName: 'system-cluster-critical',
    runtimeClassName: 'kata',
    schedulerName: 'mine',
    terminationGracePeriodSeconds: 7,
    securityContext: { fsGroup: 9, runAsNonRoot: true },
  });
  expect(pod.spec.containers[0]).toMatchObject({
    args: expect.arrayContaining(['--x']),
    env: expect.arrayContaining([{ name: 'A', value: 'b' }]),
    resources: { limits: { cpu: 2 } },
    securityContext: { privileged: false, readOnlyRootFilesystem: true },
  });
});

test('without being asked for there is no CNI plugin', async () => {
  const names = (await render()).map(({ metadata }) => metadata.name);
  expect(names).toContain('weft-operator');
  expect(names).not.toContain('weft-cni');
});

test('the CNI plugin has no capability, no token and no right, and comes before pods need it', async () => {
  const objects = await render('--set=cni.enabled=true');
  const subjects = objects.filter(({ kind }) => kind.endsWith('RoleBinding')).map(object => JSON.stringify(object));
  expect(subjects.length).toBeGreaterThan(0);
  expect(subjects.filter(binding => binding.includes('weft-cni'))).toEqual([]);
  expect(find(objects, 'ServiceAccount', 'weft-cni')).toMatchObject({ automountServiceAccountToken: false });
  const daemonSet = find(objects, 'DaemonSet', 'weft-cni');
  expect(daemonSet).toMatchObject({
    metadata: { namespace: 'weft-system', labels: { 'app.kubernetes.io/name': 'weft-cni' } },
    spec: {
      updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { annotations: { 'weft.dev/inject': 'disabled' } },
        spec: {
          automountServiceAccountToken: false,
          hostNetwork: true,
          priorityClassName: 'system-node-critical',
          tolerations: [{ operator: 'Exists' }],
          containers: [
            {
              image: 'localhost/weft-proxy:0.1.0',
              args: ['cni-install'],
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            },
          ],
        },
      },
    },
  });
});

test('every value that a pod of the CNI plugin can have reaches it', async () => {
  const objects = await render(
    '--set=cni.enabled=true,cni.binDir=/var/lib/cni/bin,cni.confDir=/var/lib/cni/conf,cni.keepOnExit=true',
    '--set-json=cni.tolerations=[{"key":"a","operator":"Exists"}]',
    '--set-json=cni.affinity={"nodeAffinity":{}}',
    '--set-json=imagePullSecrets=[{"name":"pull"}]',
    '--set=cni.nodeSelector.disk=ssd,cni.priorityClassName=mine,cni.terminationGracePeriodSeconds=7,cni.resources.limits.cpu=2',
    '--set=cni.podLabels.team=mesh,cni.podAnnotations.note=x,cni.securityContext.privileged=true',
    '--set=cni.labels.a=b,cni.annotations.c=d,cni.serviceAccount.annotations.e=f,cni.updateStrategy.rollingUpdate.maxSurge=0',
    '--set=proxy.image.tag=abc,proxy.image.pullPolicy=Always',
  );
  expect(find(objects, 'ServiceAccount', 'weft-cni').metadata.annotations).toEqual({ e: 'f' });
  const daemonSet = find(objects, 'DaemonSet', 'weft-cni');
  expect(daemonSet.metadata).toMatchObject({ labels: { a: 'b' }, annotations: { c: 'd' } });
  expect(daemonSet['spec']).toMatchObject({
    updateStrategy: { rollingUpdate: { maxSurge: 0 } },
    template: {
      metadata: { labels: { team: 'mesh' }, annotations: { note: 'x' } },
      spec: {
        tolerations: [{ key: 'a', operator: 'Exists' }],
        affinity: { nodeAffinity: {} },
        imagePullSecrets: [{ name: 'pull' }],
        nodeSelector: { disk: 'ssd', 'kubernetes.io/os': 'linux' },
        priorityClassName: 'mine',
        terminationGracePeriodSeconds: 7,
        containers: [
          {
            image: 'localhost/weft-proxy:abc',
            imagePullPolicy: 'Always',
            args: ['cni-install', '--keep'],
            resources: { limits: { cpu: 2 } },
            securityContext: { privileged: true },
          },
        ],
        volumes: [{ hostPath: { path: '/var/lib/cni/bin' } }, { hostPath: { path: '/var/lib/cni/conf' } }],
      },
    },
  });
});

test('common labels and annotations are on every object', async () => {
  const objects = await render('--set=cni.enabled=true,commonLabels.team=mesh,commonAnnotations.note=x');
  expect(objects.length).toBeGreaterThan(10);
  for (const { metadata } of objects) {
    expect(metadata).toMatchObject({ labels: { team: 'mesh' }, annotations: { note: 'x' } });
  }
});

test('the HA profile has three replicas apart from each other, a budget, and refuses pods that cannot be injected', async () => {
  const objects = await render('-f', join(chart, 'values-ha.yaml'));
  const deployment = find(objects, 'Deployment', 'weft-operator');
  expect(deployment).toMatchObject({
    spec: {
      replicas: 3,
      template: {
        spec: {
          affinity: {
            podAntiAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }],
            },
          },
        },
      },
    },
  });
  expect(find(objects, 'PodDisruptionBudget', 'weft-operator')).toMatchObject({ spec: { maxUnavailable: 1 } });
  const [inject, normalise] = webhooksOf(find(objects, 'MutatingWebhookConfiguration', 'weft-webhooks'));
  expect([inject?.failurePolicy, normalise?.failurePolicy]).toEqual(['Fail', 'Ignore']);
});

test('no webhook is asked about the namespaces that a cluster needs to come up, nor about those that opt out', async () => {
  const objects = await render();
  const all = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].flatMap(kind =>
    webhooksOf(find(objects, kind, 'weft-webhooks')),
  );
  expect(all.length).toBeGreaterThanOrEqual(3);
  for (const webhook of all) {
    expect(webhook.namespaceSelector.matchExpressions).toEqual([
      { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'weft-system'] },
      { key: 'weft.dev/admission-webhooks', operator: 'NotIn', values: ['disabled'] },
    ]);
    expect(webhook).toMatchObject({ timeoutSeconds: 5, sideEffects: 'None' });
    expect(webhook.clientConfig.caBundle).toBeUndefined();
  }
});

test.each([
  { name: 'the default values', args: [] },
  { name: 'the HA profile', args: ['-f', join(chart, 'values-ha.yaml')] },
])('with $name every container of the chart is as confined as Pod Security wants it', async ({ args }) => {
  const templates = (await render(...args)).flatMap(object => {
    const { template } = (object['spec'] ?? {}) as { template?: { spec: ConfinedPod } };
    return template === undefined ? [] : [template.spec];
  });
  expect(templates.length).toBeGreaterThan(0);
  for (const { securityContext, containers, initContainers = [], hostNetwork, hostPID, volumes = [] } of templates) {
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect([hostNetwork, hostPID]).toEqual([undefined, undefined]);
    expect(volumes.filter(volume => 'hostPath' in volume)).toEqual([]);
    for (const container of [...containers, ...initContainers])
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
  }
});

test('the NetworkPolicy is there when asked for and in the HA profile, and names ports that the operator has', async () => {
  const policiesOf = async (...args: string[]) =>
    (await render(...args)).filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec as PolicySpec);
  expect(await policiesOf()).toEqual([]);
  const [policy] = await policiesOf('-f', join(chart, 'values-ha.yaml'));
  expect(policy?.podSelector).toEqual({ matchLabels: { 'app.kubernetes.io/name': 'weft-operator' } });
  const everywhere = [{ namespaceSelector: {} }];
  expect(policy?.ingress.slice(1)).toEqual([
    { ports: [{ port: 'grpc-control' }], from: everywhere },
    { ports: [{ port: 'https-webhooks' }] },
    { ports: [{ port: 'http-admin' }], from: everywhere },
  ]);
  const [narrow] = await policiesOf(
    '--set=networkPolicy.enabled=true',
    '--set-json=networkPolicy.apiFrom=[{"podSelector":{}}]',
    '--set-json=networkPolicy.metricsFrom=[]',
    '--set-json=networkPolicy.webhooksFrom=[{"ipBlock":{"cidr":"192.0.2.1/32"}}]',
  );
  expect(narrow?.ingress.slice(2)).toEqual([
    { ports: [{ port: 'https-webhooks' }], from: [{ ipBlock: { cidr: '192.0.2.1/32' } }] },
    { ports: [{ port: 'https-api' }], from: [{ podSelector: {} }] },
  ]);
  const declared = podOf(await render()).spec.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name));
  expect(declared).toEqual(expect.arrayContaining(['grpc-control', 'https-webhooks', 'https-api', 'http-admin']));
});

test('old API servers are not asked for a policy that they do not know', async () => {
  const kinds = async (...args: string[]) => (await render(...args)).map(({ kind }) => kind);
  expect(await kinds()).toContain('ValidatingAdmissionPolicy');
  expect(await kinds('--kube-version=1.29.0')).not.toContain('ValidatingAdmissionPolicy');
});

test('definitions outlive the release unless asked, and can be left out', async () => {
  const kept = definitions(await render());
  expect(kept.map(({ metadata }) => metadata.name)).toContain('meshconfigs.weft.dev');
  for (const { metadata } of kept) expect(metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
  const dropped = definitions(await render('--set=crds.keep=false'));
  for (const { metadata } of dropped)
    expect(metadata.annotations ?? {}).not.toHaveProperty(['helm.sh/resource-policy']);
  expect(dropped.length).toBe(kept.length);
  expect(definitions(await render('--set=crds.install=false'))).toEqual([]);
  const own = definitions(await render('--set=crds.smi=false,crds.linkerd=false'));
  expect(own.map(({ metadata }) => metadata.name).filter(name => !name.endsWith('weft.dev'))).toEqual([]);
});

test('the definition that Helm applies first says who owns it', async () => {
  const [definition] = manifests(await helm('show', 'crds', chart));
  expect(definition?.metadata).toMatchObject({
    name: 'meshconfigs.weft.dev',
    labels: { 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'weft', 'meta.helm.sh/release-namespace': 'weft-system' },
  });
});

test.each([
  { name: 'another namespace', args: ['--namespace', 'mesh'], want: 'add --namespace weft-system' },
  { name: 'a misspelt value', args: ['--set=operator.replica=3'], want: 'replica' },
  { name: 'a folder without its path', args: ['--set=cni.enabled=true,cni.binDir=opt/cni'], want: 'binDir' },
  { name: 'a wrong type', args: ['--set=operator.replicas=many'], want: 'operator' },
  {
    name: 'an unknown failure policy',
    args: ['--set=webhooks.injectFailurePolicy=Maybe'],
    want: 'injectFailurePolicy',
  },
])('$name is refused, and the message names it', async ({ args, want }) => {
  await expect(helmTemplate(...args)).rejects.toThrow(want);
});

test('another release name is refused unless the definitions are managed elsewhere', async () => {
  const args = ['template', 'other', chart, '--namespace', 'weft-system', '--kube-version', '1.34.0'];
  await expect(helm(...args)).rejects.toThrow('must be called weft');
  expect(await helm(...args, '--set=crds.install=false')).toContain('name: weft-operator');
});

test('an image is named by tag, by the version of the chart, or by digest', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const imageOf = async (...args: string[]) => podOf(await render(...args)).spec.containers[0]?.image;
  expect(await imageOf()).toBe('localhost/weft-operator:0.1.0');
  expect(await imageOf('--set=operator.image.tag=abc')).toBe('localhost/weft-operator:abc');
  expect(await imageOf(`--set=operator.image.digest=${digest}`)).toBe(`localhost/weft-operator@${digest}`);
});

test('the MeshConfig names the issuer that the chart creates, or the one that the user names', async () => {
  const specOf = async (...args: string[]) => find(await render(...args), 'MeshConfig', 'default')['spec'];
  expect(await specOf()).toMatchObject({
    identity: { mode: 'CertManager', anchor: 'Managed', issuerRef: { name: 'weft-self-signed', kind: 'Issuer' } },
  });
  expect(await specOf('--set=mesh.spec.identity.issuerRef.name=mine')).toEqual({
    identity: { issuerRef: { name: 'mine' } },
  });
  const without = await render('--set=certManager.create=false,mesh.spec.identity.mode=SelfManaged');
  expect(without.filter(({ apiVersion }) => apiVersion.startsWith('cert-manager.io/'))).toEqual([]);
  expect(find(without, 'MeshConfig', 'default')['spec']).toEqual({ identity: { mode: 'SelfManaged' } });
});

interface Webhook {
  failurePolicy: string;
  namespaceSelector: { matchExpressions: unknown };
  clientConfig: { caBundle?: string };
}

interface Pod {
  metadata: object;
  spec: { containers: { image: string; ports?: { name: string }[] }[] };
}

interface ConfinedPod {
  securityContext: object;
  containers: Confined[];
  initContainers?: Confined[];
  volumes?: object[];
  hostNetwork?: boolean;
  hostPID?: boolean;
}

interface Confined {
  securityContext: object;
}

interface PolicySpec {
  podSelector: object;
  ingress: object[];
}

async function render(...args: string[]): Promise<Manifest[]> {
  return manifests(await helmTemplate(...args));
}

function find(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.find(object => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

function podOf(objects: readonly Manifest[]): Pod {
  return (find(objects, 'Deployment', 'weft-operator')['spec'] as { template: Pod }).template;
}

function webhooksOf(configuration: Manifest): Webhook[] {
  return configuration['webhooks'] as Webhook[];
}

function definitions(objects: readonly Manifest[]): Manifest[] {
  return objects.filter(object => object.kind === 'CustomResourceDefinition');
}
