import { expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
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
  withNamespace,
} from '../harness/index.ts';
import { testappImage } from '../harness/images.ts';

// What clusters without native sidecars get, asked for by annotation: the proxy as an ordinary container beside the application.
const annotations = { 'weft.dev/proxy-enable-native-sidecar': 'false' };

function job(namespace: string, name: string, args: readonly string[]): KubernetesObject {
  const app = { name: 'app', image: testappImage, imagePullPolicy: 'IfNotPresent', args: ['job', ...args] };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: { backoffLimit: 0, template: { spec: { restartPolicy: 'Never', containers: [app] } } },
  };
}

const received = async (namespace: string): Promise<number> => {
  const { body } = await call(namespace, 'client', { url: 'http://sink/stats' });
  return (JSON.parse(body) as { requests: number }).requests;
};

it('an ordinary container as proxy is there before the application, after it, and no longer than a job needs it', async () => {
  await withNamespace(
    'plain',
    async ({ name }) => {
      await apply(
        service(name, 'sink'),
        // Whoever gets an answer of it came by mutual TLS.
        ...serverApp({
          namespace: name,
          name: 'sink',
          annotations: { 'config.linkerd.io/default-inbound-policy': 'all-authenticated' },
        }),
        ...clientPod({ namespace: name, name: 'client' }),
        ...serverApp({
          namespace: name,
          name: 'web',
          args: ['--linger', '2s', '--farewell', 'http://sink/farewell'],
          pod: { terminationGracePeriodSeconds: 30 },
        }),
      );
      await Promise.all(['sink', 'client', 'web'].map(app => waitRollout(name, app)));
      await waitAnswered(name, 'client', 'http://sink/');
      const web = await getObject<{ spec: { containers: { name: string }[] } }>(
        'pod',
        (await podState(name, 'app=web')).name,
        name,
      );
      expect(web.spec.containers.map(container => container.name)).toEqual(['weft-proxy', 'app']);

      // The first thing that these do is to call; they do not try twice.
      await apply(
        job(name, 'succeeds', ['--call', 'http://sink/']),
        job(name, 'fails', ['--call', 'http://sink/', '--exit', '7']),
      );
      for (const { job: of, phase, code } of [
        { job: 'succeeds', phase: 'Succeeded', code: 0 },
        { job: 'fails', phase: 'Failed', code: 7 },
      ]) {
        const pod = await eventually(
          `the pod of job ${of} ends`,
          async () => {
            const now = await podState(name, `job-name=${of}`);
            return now.phase === 'Running' || now.phase === 'Pending' ? false : now;
          },
          { deadlineMs: 120_000, everyMs: 500 },
        );
        expect([pod.phase, pod.containers['app']?.exitCode, pod.containers['weft-proxy']?.exitCode]).toEqual([
          phase,
          code,
          0,
        ]);
      }

      // The application's last call, three seconds after both containers got SIGTERM and when it has no connection left.
      const before = await received(name);
      const { uid } = await podState(name, 'app=web');
      await kubectl(['delete', 'pod', '-n', name, '-l', 'app=web', '--wait=true'], { timeoutMs: 60_000 });
      expect((await podStates(name, 'app=web')).map(pod => pod.uid)).not.toContain(uid);
      expect(await received(name)).toBe(before + 1);
    },
    { annotations },
  );
});
