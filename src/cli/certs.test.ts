import { describe, expect, it } from 'vitest';
import type { CertsAnswer } from '../contract/index.ts';
import { EXIT } from './exit-code.ts';
import { runCommandLine } from './run.ts';
import type { JsonPatch, Session } from './session.ts';

const certs = (replica: string, renewed: number): CertsAnswer => ({
  replica,
  meshes: [
    {
      mesh: 'default',
      issuer: { generation: 'weft-issuer-default-1', notAfter: '2027-01-01T00:00:00.000Z' },
      roots: [{ subject: 'CN=weft anchor default', notAfter: '2036-01-01T00:00:00.000Z', fingerprint: 'AA:BB' }],
      leaves: [
        { generation: 'weft-issuer-default-1', proxies: renewed },
        { generation: 'weft-issuer-default-0', proxies: 1 },
      ],
      firstLeafEnds: '2026-11-26T00:00:00.000Z',
      skewed: [],
    },
  ],
});

interface Given {
  readonly phase?: string;
  readonly nextIssuer?: string;
  readonly identity?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function weft(line: string, { phase = 'Stable', nextIssuer, identity, annotations }: Given = {}) {
  let [out, err] = ['', ''];
  const patches: { readonly path: string; readonly patch: readonly JsonPatch[] }[] = [];
  const held = phase === 'Trusting';
  const object = {
    metadata: { name: 'default', ...(annotations === undefined ? {} : { annotations }) },
    spec: { identity: identity ?? { anchor: 'Managed' } },
    status: {
      identity: {
        phase,
        activeIssuer: 'weft-issuer-default-1',
        ...(nextIssuer === undefined ? {} : { nextIssuer }),
        ...(held ? { waiting: 1, waitingFor: ['demo/web-1'] } : {}),
      },
      conditions: [
        { type: 'IssuerReady', status: 'True', message: 'Signing with weft-issuer-default-1.' },
        { type: 'IssuerLasts', status: 'False', message: 'weft-issuer-default-1 ends in 13 days.' },
      ],
    },
  };
  const path = '/apis/weft.dev/v1alpha1/meshconfigs';
  const session: Session = {
    namespace: 'demo',
    cluster: {
      get: async asked => ({ [path]: { items: [object] }, [`${path}/default`]: object })[asked],
      patch: async (at, patch) => void patches.push({ path: at, patch }),
    },
    replicas: async () => [
      { pod: 'a', get: async <T>() => certs('a', 2) as T },
      { pod: 'b', get: async <T>() => certs('b', 3) as T },
    ],
  };
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    colour: false,
  };
  const pace = { nowMs: () => Date.parse('2026-11-25T10:00:00Z'), sleep: () => Promise.resolve() };
  const code = await runCommandLine(line.split(' '), { version: '0.1.0', terminal, pace, connect: () => session });
  return { code, out, err, patches };
}

describe('weft certs', () => {
  it('says who signs, what is trusted and how many proxies of all replicas are renewed, and warns of an end', async () => {
    const { code, out } = await weft('certs', { phase: 'Trusting', nextIssuer: 'weft-issuer-default-2' });
    expect(code).toBe(EXIT.ok);
    expect(out).toMatchInlineSnapshot(`
      "MESH     PHASE     ISSUER                 ENDS                      NEXT                   ROOTS  RENEWED
      default  Trusting  weft-issuer-default-1  2027-01-01T00:00:00.000Z  weft-issuer-default-2      1      5/7

      default: Signing with weft-issuer-default-1.
        waits for demo/web-1
      warning default: weft-issuer-default-1 ends in 13 days.
      "
    `);
  });

  it.each([
    { line: 'certs renew-issuer', given: {}, name: 'renew-issuer', value: '2026-11-25T10:00:00.000Z' },
    { line: 'certs renew-anchor', given: {}, name: 'renew-anchor', value: '2026-11-25T10:00:00.000Z' },
    {
      line: 'certs go-on',
      given: { phase: 'Trusting', nextIssuer: 'weft-issuer-default-2' },
      name: 'rotation-go-on',
      value: 'weft-issuer-default-2',
    },
    {
      line: 'certs abort',
      given: { phase: 'Trusting', nextIssuer: 'weft-issuer-default-2' },
      name: 'rotation-abort',
      value: 'weft-issuer-default-2',
    },
    {
      line: 'certs abort --mesh default',
      given: { phase: 'Renewing', annotations: { mine: 'stays' } },
      name: 'rotation-abort',
      value: 'weft-issuer-default-1',
    },
  ])('$line writes $name and keeps what is there', async ({ line, given, name, value }) => {
    const { code, patches } = await weft(line, given);
    expect(code).toBe(EXIT.ok);
    // A map is made only where there is none, and one that has come meanwhile is not replaced.
    const map = [
      { op: 'test', path: '/metadata/annotations', value: null },
      { op: 'add', path: '/metadata/annotations', value: {} },
    ];
    expect(patches).toEqual([
      {
        path: '/apis/weft.dev/v1alpha1/meshconfigs/default',
        patch: [
          ...('annotations' in given ? [] : map),
          { op: 'add', path: `/metadata/annotations/weft.dev~1${name}`, value },
        ],
      },
    ]);
  });

  it.each([
    { line: 'certs renew-issuer', given: { phase: 'Renewing' }, says: 'a rotation of mesh default is under way' },
    {
      line: 'certs renew-anchor',
      given: { identity: { issuerRef: { kind: 'Issuer', name: 'ours' } } },
      says: 'the trust anchor of mesh default belongs to Issuer ours',
    },
    { line: 'certs go-on', given: {}, says: 'nothing of mesh default waits' },
    { line: 'certs abort', given: {}, says: 'no rotation of mesh default is under way' },
    { line: 'certs abort --mesh other', given: {}, says: 'there is no MeshConfig other' },
  ])('$line changes nothing when $says', async ({ line, given, says }) => {
    const { code, err, patches } = await weft(line, given);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain(says);
    expect(patches).toEqual([]);
  });
});
