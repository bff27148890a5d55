// Metrics of the streams between replicas; labels come from closed sets.
import type { Metrics } from '../runtime/index.ts';

export interface PeerMetrics {
  replicas(connected: number, missing: number): void;
  proxies(count: number): void;
  told(bytes: number): void;
  heard(): void;
  shed(count: number): void;
}

export function createPeerMetrics(metrics: Metrics): PeerMetrics {
  const replicas = metrics.gauge({
    name: 'weft_peers',
    help: 'Other replicas that there should be, by whether their proxies are known here.',
    labelNames: ['state'],
    zero: [{ state: 'connected' }, { state: 'missing' }],
  });
  const proxies = metrics.gauge({
    name: 'weft_peers_proxies',
    help: 'Proxies of other replicas that are known here.',
    zero: [{}],
  });
  const bytes = metrics.counter({
    name: 'weft_peers_told_bytes_total',
    help: 'Bytes of proxies’ states sent to other replicas.',
    zero: [{}],
  });
  const updates = metrics.counter({
    name: 'weft_peers_updates_total',
    help: 'Messages with proxies’ states, by direction.',
    labelNames: ['direction'],
    zero: [{ direction: 'sent' }, { direction: 'received' }],
  });
  const shed = metrics.counter({
    name: 'weft_peers_shed_total',
    help: 'Streams of proxies that were ended because another replica has fewer.',
    zero: [{}],
  });
  return {
    replicas: (connected, missing) => {
      replicas.set(connected, { state: 'connected' });
      replicas.set(missing, { state: 'missing' });
    },
    proxies: count => proxies.set(count),
    told: size => {
      updates.inc({ direction: 'sent' });
      bytes.inc({}, size);
    },
    heard: () => updates.inc({ direction: 'received' }),
    shed: count => shed.inc({}, count),
  };
}
