import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { install } from '../../../tools/install.ts';
import { cniFolders } from '../../cluster/index.ts';
import { testappImage } from '../../harness/images.ts';
import {
  type AppOptions,
  apply,
  applyError,
  call,
  clientPod,
  clusterName,
  eventually,
  getObject,
  type KubernetesObject,
  kubectl,
  podState,
  podStates,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
} from '../../harness/index.ts';

// A namespace of Pod Security level `restricted`, whose pods are redirected by the CNI plugin of the node, beside an ordinary one; every server wants a
// mesh identity, so that whoever gets an answer came by mutual TLS. The node is left as it was found: other cases share it.
const suffix = Math.random().toString(36).slice(2, 6);
const strict = `cni-${suffix}`;
const ordinary = `cni-peer-${suffix}`;

const { programs, configurations } = cniFolders(clusterName);
const conflist = join(configurations, '10-bridge.conflist');
const onlyMeshed = { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' };
const asContainer = { 'weft.dev/proxy-enable-native-sidecar': 'false' };
const confined = {
  runAsUser: 1000,
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
const container = { securityContext: confined };

interface Node {
  readonly plugins: readonly string[];
  readonly configuration: string;
  readonly files: readonly string[];
}

async function node(): Promise<Node> {
  return {
    plugins: (await readdir(programs)).toSorted(),
    configuration: await readFile(conflist, 'utf8'),
    files: await readdir(configurations),
  };
}

function namespace(name: string, more: { labels?: object; annotations?: object }): KubernetesObject {
  const annotations = { 'weft.dev/inject': 'enabled', ...more.annotations };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ...more.labels }, annotations } };
}

const web = (options: Omit<AppOptions, 'name'>): KubernetesObject[] =>
  serverApp({ name: 'web', ...options, annotations: { ...onlyMeshed, ...options.annotations } });

function pod(name: string, annotations: Readonly<Record<string, string>> = {}): KubernetesObject {
  const app = { name: 'app', image: testappImage, args: ['client'], imagePullPolicy: 'IfNotPresent', ...container };
  const metadata = { name, namespace: strict, labels: { app: name }, annotations };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { terminationGracePeriodSeconds: 1, containers: [app] } };
}

function job(name: string, annotations: Readonly<Record<string, string>>): KubernetesObject {
  const args = ['job', '--call', `http://web.${ordinary}/`];
  const app = { name: 'app', image: testappImage, imagePullPolicy: 'IfNotPresent', args, ...container };
  const template = { metadata: { annotations }, spec: { restartPolicy: 'Never', containers: [app] } };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: strict },
    spec: { backoffLimit: 0, template },
  };
}

interface RawPod {
  readonly spec: { readonly initContainers: readonly { readonly name: string }[] };
  readonly status: {
    readonly initContainerStatuses?: readonly {
      readonly name: string;
      readonly lastState: { readonly terminated?: { readonly message?: string } };
      readonly state: { readonly terminated?: { readonly message?: string } };
    }[];
  };
}

/** What the validator of a pod has said, once it has ended. */
async function verdict(name: string): Promise<string> {
  return await eventually(
    `the validator of ${name} says something`,
    async () => {
      const { status } = await getObject<RawPod>('pod', name, strict);
      const validator = status.initContainerStatuses?.find(({ name: is }) => is === 'weft-validate');
      return validator?.state.terminated?.message ?? validator?.lastState.terminated?.message ?? false;
    },
    { deadlineMs: 120_000, everyMs: 500 },
  );
}

async function running(name: string): Promise<void> {
  await eventually(`pod ${name} is ready`, async () => (await podState(strict, `app=${name}`)).ready, {
    deadlineMs: 120_000,
    everyMs: 500,
  });
}

let before: Node;
let installed = false;

beforeAll(async () => {
  before = await node();
  installed = true;
  await install(clusterName, {
    helmArgs: [`--set=cni.enabled=true,cni.binDir=${programs},cni.confDir=${configurations}`],
  });
  await apply(
    namespace(strict, {
      labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
      annotations: { 'weft.dev/redirect': 'cni' },
    }),
    namespace(ordinary, {}),
    service(strict, 'web'),
    service(strict, 'plain'),
    service(ordinary, 'web'),
    ...web({ namespace: strict, container }),
    ...web({ namespace: ordinary }),
    ...serverApp({ namespace: strict, name: 'plain', container, annotations: { ...onlyMeshed, ...asContainer } }),
    ...clientPod({ namespace: strict, name: 'client', container }),
    ...clientPod({ namespace: strict, name: 'plain-client', container, annotations: asContainer }),
    ...clientPod({ namespace: strict, name: 'outside', meshed: false, container }),
    ...clientPod({ namespace: ordinary, name: 'client' }),
  );
  await Promise.all(['web', 'plain', 'client', 'plain-client', 'outside'].map(app => waitRollout(strict, app)));
  await Promise.all(['web', 'client'].map(app => waitRollout(ordinary, app)));
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', strict, ordinary, '--wait=false', '--ignore-not-found']);
  if (installed) await install(clusterName);
});

describe('the CNI plugin', () => {
  it('is in the configuration of the node and holds nothing of the API', async () => {
    const now = await node();
    expect(now.plugins).toEqual([...before.plugins, 'weft-cni'].toSorted());
    expect(before.configuration).not.toContain('weft-cni');
    expect(JSON.parse(now.configuration)).toMatchObject({
      plugins: [{ type: 'bridge' }, { type: 'portmap' }, { type: 'weft-cni' }],
    });
    const spec = await kubectl([
      'get',
      'pods',
      '-n',
      'weft-system',
      '-l',
      'app.kubernetes.io/name=weft-cni',
      '-o',
      'yaml',
    ]);
    expect(spec).not.toContain('serviceAccountToken');
  });

  it('meshes pods in a namespace that forbids their own rules: mutual TLS both ways, with both kinds of sidecar', async () => {
    // The control: the same pod with rules of its own is refused there.
    const refused = await applyError(pod('own-rules', { 'weft.dev/redirect': 'init' }));
    expect(refused).toMatch(/violates PodSecurity "restricted.*weft-init.*NET_ADMIN/);
    const calls = [
      { from: strict, app: 'client', to: `web.${ordinary}` },
      { from: strict, app: 'client', to: 'web' },
      { from: strict, app: 'client', to: 'plain' },
      { from: strict, app: 'plain-client', to: `web.${ordinary}` },
      { from: ordinary, app: 'client', to: `web.${strict}` },
      { from: ordinary, app: 'client', to: `plain.${strict}` },
    ];
    for (const { from, app, to } of calls) {
      await waitAnswered(from, app, `http://${to}/`);
      const { status, body } = await call(from, app, { url: `http://${to}/` });
      const { headers } = JSON.parse(body) as { headers: Record<string, string> };
      expect([to, status, headers['weft-client-id']]).toEqual([
        to,
        200,
        `spiffe://cluster.local/ns/${from}/sa/default`,
      ]);
    }
    const first = await getObject<RawPod>('pod', (await podState(strict, 'app=client')).name, strict);
    expect(first.spec.initContainers.map(({ name }) => name)).toEqual(['weft-validate', 'weft-proxy']);
  });

  it('leaves pods outside of the mesh alone, and those have no way round a policy', async () => {
    await waitAnswered(strict, 'outside', 'http://web/');
    for (const to of ['web', 'plain', `web.${ordinary}`])
      expect([to, (await call(strict, 'outside', { url: `http://${to}/` })).status]).toEqual([to, 403]);
  });

  it('lets jobs end, with both kinds of sidecar', async () => {
    await apply(job('native', {}), job('plain', asContainer));
    for (const name of ['native', 'plain']) {
      const ended = await eventually(
        `the pod of job ${name} ends`,
        async () => {
          const [now] = await podStates(strict, `job-name=${name}`);
          return now !== undefined && /^(Succeeded|Failed)$/.test(now.phase) ? now : false;
        },
        { deadlineMs: 120_000, everyMs: 500 },
      );
      expect([name, ended.phase, ended.containers['app']?.exitCode]).toEqual([name, 'Succeeded', 0]);
    }
  });

  it('makes no network for a pod whose rules it cannot read, and says so where people look', async () => {
    await apply(pod('unreadable', { 'weft.dev/inject': 'disabled', 'weft.dev/redirect-rules': '--table=filter' }));
    const of = ['--field-selector', 'involvedObject.name=unreadable', '-o', 'jsonpath={.items[*].message}'];
    const events = ['get', 'events', '-n', strict, ...of];
    await eventually('an event names the annotation', async () => (await kubectl(events)).includes('redirect-rules'), {
      deadlineMs: 60_000,
      everyMs: 500,
    });
    expect(await kubectl(events)).toContain(`pod ${strict}/unreadable: the annotation weft.dev/redirect-rules`);
    expect((await podState(strict, 'app=unreadable')).containers['app']?.id).toBe('');
    await kubectl(['delete', 'pod', 'unreadable', '-n', strict, '--wait=true'], { timeoutMs: 60_000 });
  });

  it('is never absent while its DaemonSet is updated', async () => {
    const owner = async (): Promise<string | undefined> => {
      const { plugins } = JSON.parse((await node()).configuration) as { plugins: { installedBy?: string }[] };
      return plugins.at(-1)?.installedBy;
    };
    const old = await owner();
    await kubectl(['rollout', 'restart', 'daemonset/weft-cni', '-n', 'weft-system']);
    let over = false;
    const settled = (async () => {
      const status = ['rollout', 'status', 'daemonset/weft-cni', '-n', 'weft-system', '--timeout=120s'];
      await kubectl(status, { timeoutMs: 130_000 });
      const pods = ['get', 'pods', '-n', 'weft-system', '-l', 'app.kubernetes.io/name=weft-cni', '-o', 'name'];
      const isAlone = async () => (await kubectl(pods)).trim().split('\n').length === 1;
      await eventually('the old pod has gone', isAlone, { deadlineMs: 60_000, everyMs: 250 });
    })().finally(() => {
      over = true;
    });
    const owners = new Set<string | undefined>();
    const look = async () => {
      owners.add(await owner());
      return over;
    };
    await eventually('the update is over', look, { deadlineMs: 200_000, everyMs: 20 });
    await settled;
    owners.add(await owner());
    expect((await node()).plugins).toContain('weft-cni');
    expect(old).toMatch(/^[0-9a-f-]{36}$/);
    expect([owners.size, owners.has(old), owners.has(undefined)]).toEqual([2, true, false]);
  });

  it('comes back when the configuration of the node is written anew', async () => {
    await writeFile(conflist, before.configuration);
    await eventually('the entry is there again', async () => (await node()).configuration.includes('weft-cni'), {
      deadlineMs: 30_000,
      everyMs: 100,
    });
    await apply(pod('after-repair'));
    await running('after-repair');
    await waitAnswered(strict, 'client', `http://web.${ordinary}/`);
  });

  it('leaves the node as it was when it is uninstalled; no pod then starts around the mesh', async () => {
    await install(clusterName);
    installed = false;
    await eventually('the plugin has gone', async () => !(await node()).plugins.includes('weft-cni'), {
      deadlineMs: 60_000,
      everyMs: 250,
    });
    expect(await node()).toEqual(before);
    await apply(pod('unmeshed', { 'weft.dev/inject': 'disabled' }), pod('stays'));
    await running('unmeshed');
    const message = await verdict('stays');
    expect(message).toContain("this pod's traffic is not redirected");
    expect(message).toContain(`on node ${clusterName}`);
    const { phase, ready, containers } = await podState(strict, 'app=stays');
    expect([phase, ready, containers['app']?.id, containers['weft-proxy']?.id]).toEqual(['Pending', false, '', '']);
    // Those that were there before go on.
    expect((await call(strict, 'client', { url: `http://web.${ordinary}/` })).status).toBe(200);
    // It installs, as the hooks do.
  }, 900_000);
});
