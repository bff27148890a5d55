import { beforeAll, describe, expect, it } from 'vitest';
import { makeCa, readCertificates } from '../../identity/index.ts';
import { type ObjectKey, podKey } from '../../kernel/index.ts';
import type { PodFacts, ProxyState, Resource, Who } from '../../model/index.ts';
import { rotatingProxies } from './proxies.ts';

/** Of a pod: its mesh, the meshes whose roots it is to hold, and what its proxy has said. */
interface Given {
  readonly mesh: string;
  readonly believes?: readonly string[];
  readonly phase?: PodFacts['phase'];
  readonly acked?: boolean;
  readonly silent?: boolean;
  readonly connected?: boolean;
  readonly leaf?: string;
}

describe('rotatingProxies', () => {
  let pem = '';
  let root: Uint8Array = new Uint8Array();
  beforeAll(async () => {
    pem = (await makeCa({ commonName: 'next', nowMs: Date.now(), validForMs: 3_600_000 })).certificatePem;
    const read = readCertificates(pem);
    root = (read.ok ? read.value[0]?.raw : undefined) ?? new Uint8Array();
  });

  function proxiesOf(given: Readonly<Record<string, Given>>) {
    const keys = Object.keys(given).map(name => podKey('demo', name));
    const of = new Map(Object.entries(given).map(([name, facts]) => [podKey('demo', name), facts] as const));
    const whoOf = (key: ObjectKey): Who => ({
      podKey: key,
      podUid: key,
      view: { mesh: of.get(key)?.mesh ?? '', namespace: 'demo', zone: '', node: '' },
    });
    const trust = (who: Who): Resource => {
      const { mesh = '', believes = [mesh] } = of.get(who.podKey) ?? {};
      const domains = believes.map(name => ({ mesh: name, trustDomain: `${name}.test`, anchors: [root] }));
      const body = { kind: 'trust' as const, trust: { domains, issuer: '', renewWithinMs: 0 } };
      return { name: 'trust', version: 'v2', derivedFrom: [], body };
    };
    const states = keys
      .filter(key => of.get(key)?.connected !== false)
      .map(key => {
        const { acked = true, silent = false, leaf } = of.get(key) ?? {};
        const held = { name: 'trust', ackedVersion: acked ? 'v2' : 'v1', sentVersion: 'v2', nackReason: undefined };
        return {
          who: whoOf(key),
          silent,
          resources: [held],
          leaf: leaf === undefined ? undefined : { generation: leaf, notAfterMs: 0, skewMs: 0 },
        } as unknown as ProxyState;
      });
    const pods = keys.map(key => {
      const { mesh, phase = 'Running' } = of.get(key) ?? { mesh: '' };
      return { key, meta: { labels: mesh === '' ? {} : { 'weft.dev/proxy': mesh } }, phase } as unknown as PodFacts;
    });
    return rotatingProxies(
      {
        registry: { proxies: () => states },
        config: { resource: trust, view: key => (of.get(key)?.mesh === '' ? undefined : whoOf(key)) },
        pods: () => pods,
      },
      'default',
      pem,
    );
  }

  it('are all pods of the mesh that run, with what each has acknowledged and who signed its certificate', () => {
    expect(
      proxiesOf({
        good: { mesh: 'default', leaf: 'weft-issuer-default-1' },
        behind: { mesh: 'default', acked: false, leaf: 'weft-issuer-default-0' },
        silent: { mesh: 'default', silent: true },
        unheard: { mesh: 'default', connected: false },
        starting: { mesh: 'default', phase: 'Pending' },
        plain: { mesh: '' },
        other: { mesh: 'payments' },
      }),
    ).toEqual([
      { name: 'demo/good', trustsNewest: true, leaf: 'weft-issuer-default-1' },
      { name: 'demo/behind', trustsNewest: false, leaf: 'weft-issuer-default-0' },
      { name: 'demo/silent', trustsNewest: false, leaf: '' },
      { name: 'demo/unheard', trustsNewest: false, leaf: '' },
    ]);
  });

  it('are those of meshes that trust this one as well, whose certificates are of no concern', () => {
    const friend = { mesh: 'payments', believes: ['payments', 'default'], leaf: 'weft-issuer-payments-1' };
    expect(proxiesOf({ friend, late: { ...friend, acked: false } })).toEqual([
      { name: 'demo/friend', trustsNewest: true, leaf: undefined },
      { name: 'demo/late', trustsNewest: false, leaf: undefined },
    ]);
  });
});
