// Our own canaries, judged by the golden signals that the operator keeps: no Prometheus is installed.
import { expect, it } from 'vitest';
import {
  apply,
  clientPod,
  eventually,
  evidence,
  getObject,
  kubectl,
  type KubernetesObject,
  serverApp,
  service,
  shareOf,
  startLoad,
  waitAnswered,
  waitRollout,
  weft,
  withNamespace,
} from '../harness/index.ts';

interface Canary {
  readonly status?: {
    readonly phase?: string;
    readonly canaryWeight?: number;
    readonly failedChecks?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

const canary = (namespace: string): KubernetesObject => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'Canary',
  metadata: { name: 'web', namespace },
  spec: {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    service: { port: 80, portName: 'http', targetPort: 'http' },
    revertOnDeletion: true,
    analysis: {
      interval: '10s',
      threshold: 2,
      stepWeights: [20, 60],
      metrics: [
        { name: 'request-success-rate', interval: '30s', thresholdRange: { min: 99 } },
        { name: 'request-duration', interval: '30s', thresholdRange: { max: 200 } },
      ],
    },
  },
});

async function phaseOf(namespace: string): Promise<string> {
  return (await getObject<Canary>('canaries.weft.dev', 'web', namespace)).status?.phase ?? '';
}

const reaches = async (namespace: string, phase: string): Promise<void> => {
  await eventually(`the Canary is ${phase}`, async () => (await phaseOf(namespace)) === phase, {
    deadlineMs: 240_000,
    everyMs: 500,
  }).catch(async (error: unknown) => {
    const state = await kubectl(['get', 'canaries.weft.dev,deploy,trafficsplit', '-n', namespace, '-o', 'yaml']);
    const said = await kubectl(['logs', '-n', 'weft-system', 'deployment/weft-canary', '--tail=30']);
    throw new Error(`${String(error)}\n${said}\n${state.slice(-8_000)}`);
  });
};

it('under load a good revision is promoted by its steps, a slow one rolled back, and no request is lost', async () => {
  await withNamespace('canary', async ({ name }) => {
    // An application that ends at once loses requests whoever restarts it.
    const version = (says: string, ...args: string[]) =>
      serverApp({ namespace: name, name: 'web', says, args: ['--linger', '3s', ...args] });
    await apply(service(name, 'web'), ...version('v1'), ...clientPod({ namespace: name, name: 'client' }));
    await Promise.all(['web', 'client'].map(app => waitRollout(name, app)));
    await waitAnswered(name, 'client', 'http://web/');
    const load = await startLoad(name, 'client', {
      protocol: 'http1',
      target: 'http://web/',
      rate: 60,
      durationMs: 590_000,
    });
    await apply(canary(name));
    await reaches(name, 'Initialized');

    await apply(...version('v2'));
    await reaches(name, 'Succeeded');
    await eventually('v2 alone answers', async () => {
      const { byBackend, answered } = await load.report();
      return answered > 0 && Date.now() - (byBackend['v1']?.lastSentMs ?? 0) > 1_000;
    });
    const good = evidence('a good run', await load.report());
    expect(shareOf(good, 'v2')).toBeGreaterThan(0);

    await apply(...version('v3', '--delay', '600ms'));
    await reaches(name, 'Failed');
    await eventually('v3 gets nothing any more', async () => {
      const { byBackend } = await load.report();
      return byBackend['v3'] !== undefined && Date.now() - byBackend['v3'].lastSentMs > 2_000;
    });
    const { status } = await getObject<Canary>('canaries.weft.dev', 'web', name);
    expect(status).toMatchObject({ failedChecks: 2, canaryWeight: 0 });
    await eventually('events tell both runs', async () => {
      const told = await kubectl(['get', 'events.events.k8s.io', '-n', name, '-o', 'jsonpath={.items[*].note}']);
      const notes = [
        'canary weight 20',
        'canary weight 60',
        'Promotion completed!',
        'request duration',
        'Rolling back',
      ];
      return notes.every(note => told.includes(note));
    });
    const listed = await weft(['canary', 'list', '-n', name]);
    expect(listed.stdout).toMatch(/web +Failed +0/);

    await kubectl(['delete', 'canaries.weft.dev', 'web', '-n', name, '--timeout=60s'], { timeoutMs: 70_000 });
    await eventually('the target serves alone again', async () => {
      const { byBackend } = await load.report();
      return Date.now() - (byBackend['v2']?.lastSentMs ?? 0) > 2_000;
    });
    const report = evidence('both runs and the way back', await load.stop());
    expect(report.failed, JSON.stringify(report.errors)).toBe(0);
    expect(report.answered).toBe(report.sent);
    expect(Object.keys(report.byBackend).toSorted()).toEqual(['v1', 'v2', 'v3']);
  });
}, 500_000);
