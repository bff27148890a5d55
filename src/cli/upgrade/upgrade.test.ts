import { describe, expect, it } from 'vitest';
import { CliError, EXIT } from '../exit-code.ts';
import { runCommandLine } from '../run.ts';
import type { Session } from '../session.ts';

const OLD = 'example.test/weft-proxy:1';
const NEW = 'example.test/weft-proxy:2';
const BAD = 'example.test/none:1';

interface FakePod {
  readonly name: string;
  readonly owner: string;
  image: string;
  container: number;
  waiting: string;
  /** The status says nothing of an image that cannot be pulled. */
  readonly silent: boolean;
  /** Looks until the kubelet has done what it was told. */
  busy: number;
  phase: string;
}

const aPod = (name: string, owner = name, overrides: Partial<FakePod> = {}): FakePod => ({
  name,
  owner,
  image: OLD,
  container: 1,
  waiting: '',
  silent: false,
  busy: 0,
  phase: 'Running',
  ...overrides,
});

/** A cluster whose kubelet needs two looks to replace a proxy, and which never pulls BAD. */
function aCluster(pods: readonly FakePod[], given: { readonly plain?: boolean; readonly patchFails?: boolean } = {}) {
  const [list, statuses] =
    given.plain === true ? ['containers', 'containerStatuses'] : ['initContainers', 'initContainerStatuses'];
  const atOnce = { most: 0, owners: new Set<string>(), clashes: 0 };
  const look = (pod: FakePod): unknown => {
    if (pod.busy > 0) {
      pod.busy -= 1;
      if (pod.busy === 0) {
        if (pod.image === BAD) pod.waiting = pod.silent ? '' : 'ImagePullBackOff';
        else {
          pod.waiting = '';
          pod.container += 1;
        }
        atOnce.owners.delete(pod.owner);
      }
    }
    return {
      metadata: {
        namespace: 'demo',
        name: pod.name,
        uid: `uid-${pod.name}`,
        labels: { 'weft.dev/proxy': 'default' },
        ownerReferences: [{ controller: true, uid: pod.owner }],
      },
      spec: {
        [list]: [
          { name: 'weft-init', image: OLD },
          { name: 'weft-proxy', image: pod.image },
        ],
      },
      status: {
        phase: pod.phase,
        conditions: [{ type: 'Ready', status: pod.busy > 0 || pod.waiting !== '' ? 'False' : 'True' }],
        [statuses]: [
          {
            name: 'weft-proxy',
            containerID: `c${pod.container}`,
            ready: pod.waiting === '',
            state:
              pod.waiting === '' ? { running: {} } : { waiting: { reason: pod.waiting, message: 'no such image' } },
          },
        ],
      },
    };
  };
  const session: Session = {
    namespace: 'demo',
    cluster: {
      get: async path => {
        if (path.includes('deployments'))
          return {
            spec: { template: { spec: { containers: [{ env: [{ name: 'WEFT_PROXY_IMAGE', value: NEW }] }] } } },
          };
        if (path.includes('meshconfigs')) return { spec: { proxy: { image: '' } } };
        // As of a kubelet that was asked for a sidecar's image: its status tells of the old container only, its events of the new one.
        if (path.includes('/events?'))
          return {
            items: pods
              .filter(pod => pod.silent && pod.image === BAD && pod.busy === 0 && path.endsWith(`uid-${pod.name}`))
              .map(() => ({
                metadata: { uid: 'e1' },
                reason: 'Failed',
                count: 1,
                message: `Failed to pull image "${BAD}": not found`,
              })),
          };
        if (path.includes('?')) return { items: pods.map(look) };
        const pod = pods.find(({ name }) => path.endsWith(`/${name}`));
        return pod === undefined ? undefined : look(pod);
      },
      patch: async (path, patch) => {
        if (given.patchFails === true) throw new CliError(EXIT.unreachable, 'pods "web-1" is forbidden', 'ask for it');
        const pod = pods.find(({ name }) => path.endsWith(`/${name}`));
        if (pod === undefined) throw new Error(`no pod at ${path}`);
        expect(patch.map(({ path: at }) => at)).toEqual([
          `/spec/${list}/1/name`,
          `/spec/${list}/1/image`,
          `/spec/${list}/1/image`,
        ]);
        expect(patch[1]?.value).toBe(pod.image);
        pod.image = String(patch[2]?.value);
        pod.busy = 2;
        if (atOnce.owners.has(pod.owner)) atOnce.clashes += 1;
        atOnce.owners.add(pod.owner);
        atOnce.most = Math.max(atOnce.most, atOnce.owners.size);
        return {};
      },
    },
    replicas: async () => [
      {
        pod: 'weft-operator-a',
        get: async <T>(path: string) => {
          const pod = pods.find(({ name }) => path.includes(`/${name}/`));
          const proxy = {
            podUid: `uid-${pod?.name}`,
            connectedAt: `2026-01-01T00:00:0${pod?.container}Z`,
            state: 'current',
          };
          return (pod === undefined || pod.busy > 0 ? undefined : { proxy, missing: [] }) as T | undefined;
        },
      },
    ],
  };
  return { session, atOnce };
}

async function upgrade(line: string, session: Session) {
  let [out, err, nowMs] = ['', '', 0];
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    colour: false,
  };
  const pace = {
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
      await Promise.resolve();
    },
  };
  const args = ['upgrade-proxies', ...line.split(' ').filter(word => word !== '')];
  const code = await runCommandLine(args, { version: '0.1.0', terminal, pace, connect: () => session });
  return { code, out, err };
}

describe('upgrade-proxies', () => {
  it('replaces what is not the image of the operator, one by one, and leaves the rest', async () => {
    const pods = [
      aPod('web-2'),
      aPod('web-1'),
      aPod('done', 'done', { image: NEW }),
      aPod('job', 'job', { phase: 'Succeeded' }),
    ];
    const { session, atOnce } = aCluster(pods);
    const { code, out, err } = await upgrade('', session);
    expect([code, err]).toEqual([EXIT.ok, '']);
    expect(out).toBe(
      '[1/2] demo/web-1: upgraded after 1 s\n[2/2] demo/web-2: upgraded after 1 s\n2 upgraded, 1 current, 1 not-running\n',
    );
    expect(pods.map(({ image }) => image)).toEqual([NEW, NEW, NEW, OLD]);
    expect(atOnce.most).toBe(1);
  });

  it('takes several at a time, but never two of one workload', async () => {
    const pods = [aPod('a-1', 'a'), aPod('a-2', 'a'), aPod('b-1', 'b'), aPod('b-2', 'b'), aPod('c-1', 'c')];
    const { session, atOnce } = aCluster(pods);
    const { code } = await upgrade('--max-unavailable 2', session);
    expect(code).toBe(EXIT.ok);
    expect(pods.every(({ image }) => image === NEW)).toBe(true);
    expect(atOnce).toMatchObject({ most: 2, clashes: 0 });
  });

  it('patches a proxy that is an ordinary container in its own place', async () => {
    const pods = [aPod('web-1')];
    expect((await upgrade('', aCluster(pods, { plain: true }).session)).code).toBe(EXIT.ok);
    expect(pods[0]?.image).toBe(NEW);
  });

  it('puts the old image back when the new proxy does not come, stops, and says how to go on', async () => {
    const pods = [aPod('web-1'), aPod('web-2')];
    const { code, out, err } = await upgrade(`--image ${BAD} -o json`, aCluster(pods).session);
    expect(code).toBe(EXIT.failed);
    expect(pods.map(({ image, waiting }) => [image, waiting])).toEqual([
      [OLD, ''],
      [OLD, ''],
    ]);
    const rows = (JSON.parse(out) as { pods: { pod: string; result: string }[] }).pods;
    expect(rows.map(({ pod, result }) => [pod, result])).toEqual([
      ['web-1', 'rolled-back'],
      ['web-2', 'not-begun'],
    ]);
    expect(err).toContain('stopped at demo/web-1: ImagePullBackOff: no such image');
    expect(err).toContain('the same command goes on with the pods that are left');
  });

  it('learns from events what the status of a sidecar keeps to itself', async () => {
    const pods = [aPod('web-1', 'web', { silent: true })];
    const { code, err } = await upgrade(`--image ${BAD} --timeout 3600`, aCluster(pods).session);
    expect([code, pods[0]?.image]).toEqual([EXIT.failed, OLD]);
    expect(err).toContain(`stopped at demo/web-1: Failed to pull image "${BAD}": not found`);
  });

  it('gives up at its deadline', async () => {
    const pods = [aPod('web-1')];
    const { session } = aCluster(pods);
    const silent: Session = {
      ...session,
      replicas: async () => [{ pod: 'weft-operator-a', get: async () => undefined }],
    };
    const { code, err } = await upgrade('--timeout 30', silent);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('the new proxy has not connected to the operator');
  });

  it('plans without a change', async () => {
    const pods = [aPod('web-1')];
    const { code, out } = await upgrade('--dry-run', aCluster(pods).session);
    expect(code).toBe(EXIT.ok);
    expect(out).toBe(
      `NAMESPACE  POD    RESULT   FROM                       TO\ndemo       web-1  planned  ${OLD}  ${NEW}\n`,
    );
    expect(pods[0]?.image).toBe(OLD);
  });

  it('says what right is missing', async () => {
    const { code, err } = await upgrade('', aCluster([aPod('web-1')], { patchFails: true }).session);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('pods "web-1" is forbidden; ask for it');
  });
});
