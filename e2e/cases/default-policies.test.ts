import { describe, expect, it } from 'vitest';
import {
  apply,
  call,
  clientPod,
  serverApp,
  service,
  waitAnswered,
  waitRollout,
  withNamespace,
} from '../harness/index.ts';

// What a port without a Server does, by the policy that the pod's namespace asks for. That the rollout completes at all shows that kubelet's
// probes are answered under every one of them.
const policies = [
  { policy: 'all-unauthenticated', meshed: 200, outside: 200 },
  { policy: 'all-authenticated', meshed: 200, outside: 403 },
  { policy: 'cluster-unauthenticated', meshed: 200, outside: 200 },
  { policy: 'cluster-authenticated', meshed: 200, outside: 403 },
  { policy: 'deny', meshed: 403, outside: 403 },
  { policy: 'audit', meshed: 200, outside: 200 },
];

describe('default inbound policies', () => {
  it('admit whom they name and keep probes truthful', async () => {
    await withNamespace('default-policies', async ({ name }) => {
      const servers = policies.map(({ policy }) => policy);
      await apply(
        ...servers.flatMap(policy => [
          service(name, policy),
          ...serverApp({
            namespace: name,
            name: policy,
            annotations: { 'config.linkerd.io/default-inbound-policy': policy },
          }),
        ]),
        ...clientPod({ namespace: name, name: 'meshed' }),
        ...clientPod({ namespace: name, name: 'outside', meshed: false }),
      );
      await Promise.all([...servers, 'meshed', 'outside'].map(app => waitRollout(name, app)));
      for (const policy of servers) await waitAnswered(name, 'meshed', `http://${policy}/`);
      const seen = await Promise.all(
        policies.map(async ({ policy }) => ({
          policy,
          meshed: (await call(name, 'meshed', { url: `http://${policy}/` })).status,
          outside: (await call(name, 'outside', { url: `http://${policy}/` })).status,
        })),
      );
      expect(seen).toEqual(policies);
    });
  });
});
