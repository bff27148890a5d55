import { expect, it } from 'vitest';
import { snapshotOf } from '../model/index.ts';
import { membersOf } from './members.ts';

const aSlice = (
  name: string,
  changes: { namespace?: string; service?: string; addressType?: string },
  endpoints: object[],
  port = 8087,
) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    name,
    namespace: changes.namespace ?? 'weft-system',
    labels: { 'kubernetes.io/service-name': changes.service ?? 'weft-operator-peers' },
  },
  addressType: changes.addressType ?? 'IPv4',
  ports: [{ name: 'grpc-peers', port, protocol: 'TCP' }],
  endpoints,
});

const anEndpoint = (pod: string, address: string, conditions: object = { ready: true, serving: true }) => ({
  addresses: [address],
  conditions,
  targetRef: { kind: 'Pod', name: pod, namespace: 'weft-system', uid: pod },
});

const members = (...slices: readonly object[]) =>
  membersOf(snapshotOf(slices).snapshot.endpointSlices.values(), {
    namespace: 'weft-system',
    service: 'weft-operator-peers',
    self: 'a',
  });

it('are the other pods behind the headless Service, sorted', () => {
  expect(
    members(aSlice('s', {}, [anEndpoint('c', '10.0.0.3'), anEndpoint('a', '10.0.0.1'), anEndpoint('b', '10.0.0.2')])),
  ).toEqual([
    { replica: 'b', address: '10.0.0.2:8087', serving: true },
    { replica: 'c', address: '10.0.0.3:8087', serving: true },
  ]);
});

it('are expected from the moment that they have an address, and take proxies when they are ready', () => {
  const starting = { ready: true, serving: false };
  expect(members(aSlice('s', {}, [anEndpoint('b', '10.0.0.2', starting)]))).toEqual([
    { replica: 'b', address: '10.0.0.2:8087', serving: false },
  ]);
});

it('are no longer expected once they end', () => {
  const ending = { ready: false, serving: true, terminating: true };
  expect(members(aSlice('s', {}, [anEndpoint('b', '10.0.0.2', ending)]))).toEqual([]);
});

it('count once with an address of each family', () => {
  const both = [
    aSlice('six', { addressType: 'IPv6' }, [anEndpoint('b', 'fd00::2'), anEndpoint('c', 'fd00::3')]),
    aSlice('four', {}, [anEndpoint('b', '10.0.0.2')]),
  ];
  expect(members(...both).map(({ address }) => address)).toEqual(['10.0.0.2:8087', '[fd00::3]:8087']);
});

it('are of that Service and that namespace alone', () => {
  const foreign = [
    aSlice('x', { namespace: 'demo' }, [anEndpoint('b', '10.0.0.2')]),
    aSlice('y', { service: 'weft-operator' }, [anEndpoint('c', '10.0.0.3')]),
  ];
  expect(members(...foreign)).toEqual([]);
});
