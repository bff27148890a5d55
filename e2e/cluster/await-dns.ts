// Runs inside a node's network namespace: ends as soon as the cluster's DNS service answers at its ClusterIP.

import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { dnsServiceAddress } from './addresses.ts';

for (;;) {
  const resolver = new Resolver({ timeout: 250, tries: 1 });
  resolver.setServers([dnsServiceAddress]);
  const answer = await resolver.resolve4('kubernetes.default.svc.cluster.local').catch(() => []);
  if (answer.length > 0) break;
  await sleep(50);
}
