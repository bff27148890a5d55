import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { Plan } from '../../compile/index.ts';
import { type Resource, snapshotOf, viewKey, type Who } from '../../model/index.ts';
import { podKey } from '../../kernel/index.ts';
import { recordingLogger, recordingMetrics } from '../../runtime/recording.ts';
import { createPublisher } from './index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const WHO: Who = {
  view: { mesh: 'default', namespace: 'demo', zone: '', node: 'n1' },
  podKey: podKey('demo', 'web-1'),
  podUid: 'uid-web-1',
};

it('keeps the plan in force and the one before, and no other, however often it publishes', async () => {
  const plans: WeakRef<Plan>[] = [];
  const publisher = createPublisher({
    snapshot: () => snapshotOf([]).snapshot,
    compileOptions: () => ({ clusterDomain: 'cluster.local', controlNamespace: 'weft-system', trust: new Map() }),
    clock: { nowMs: () => Date.now() },
    log: recordingLogger(),
    metrics: recordingMetrics(),
    windowMs: 1,
    compiler: {
      compile: () => {
        const plan = { number: plans.length } as unknown as Plan;
        plans.push(new WeakRef(plan));
        return { plan, statuses: new Map(), problems: [] };
      },
      renderAgain: ({ name }) => ({
        resource: { name, version: `v${plans.length}`, derivedFrom: [], body: {} } as unknown as Resource,
        inputs: [plans.length],
      }),
      scopeOf: (plan, who) => `${plan === undefined} ${viewKey(who.view)}`,
      changesBetween: (former, plan) => () => former !== plan,
      whoIs: () => WHO,
    },
  });
  for (let generation = 1; generation <= 10; generation += 1) {
    publisher.request();
    await expect.poll(() => publisher.generation).toBe(generation);
    publisher.resource(WHO, 'trust');
    publisher.changed(WHO, 'trust');
  }
  await new Promise(resolve => setTimeout(resolve, 10));
  collect();
  const alive = plans.map(plan => plan.deref() !== undefined);
  expect(alive).toEqual([false, false, false, false, false, false, false, false, true, true]);
  publisher.close();
});
