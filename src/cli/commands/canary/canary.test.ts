import { describe, expect, it } from 'vitest';
import { EXIT } from '../../exit-code.ts';
import { runCommandLine } from '../../run.ts';
import type { JsonPatch, Session } from '../../session.ts';

type Status = Readonly<Record<string, unknown>>;

interface Given {
  /** One after the other, the last for ever. */
  readonly statuses?: readonly Status[];
  readonly suspend?: boolean;
  readonly annotations?: object;
  readonly colour?: boolean;
}

const progressing = {
  phase: 'Progressing',
  canaryWeight: 20,
  lastAppliedSpec: 'r2',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

async function weft(line: string, given: Given = {}) {
  const { statuses = [progressing], suspend = false, annotations, colour = false } = given;
  let [out, err, nowMs, reads] = ['', '', 0, 0];
  const patches: { readonly path: string; readonly patch: readonly JsonPatch[] }[] = [];
  const object = () => ({
    metadata: { name: 'web', namespace: 'demo', ...(annotations === undefined ? {} : { annotations }) },
    spec: { suspend },
    status: statuses[Math.min(reads++, statuses.length - 1)],
  });
  const base = '/apis/weft.dev/v1alpha1';
  const answers: Readonly<Record<string, () => unknown>> = {
    [`${base}/canaries`]: () => ({ items: [object()] }),
    [`${base}/namespaces/empty/canaries`]: () => ({ items: [] }),
    [`${base}/namespaces/demo/canaries/web`]: object,
  };
  const session: Session = {
    namespace: 'demo',
    cluster: {
      get: async path => answers[path]?.(),
      patch: async (path, patch) => void patches.push({ path, patch }),
    },
    replicas: () => Promise.reject(new Error('the operator is not asked')),
  };
  const code = await runCommandLine(line.split(' '), {
    version: '0',
    terminal: { out: text => void (out += text), err: text => void (err += text), colour },
    pace: {
      nowMs: () => nowMs,
      sleep: async ms => void (nowMs += ms),
    },
    connect: () => session,
  });
  return { code, out, err, patches };
}

describe('weft canary', () => {
  it('lists them, with what holds them', async () => {
    const { out, code } = await weft('canary list', { statuses: [{ ...progressing, gate: 'confirm-promotion ask' }] });
    expect([code, out.split('\n')]).toEqual([
      EXIT.ok,
      [
        'NAMESPACE  NAME  STATUS       WEIGHT  FAILED  SINCE                 WAITS FOR',
        'demo       web   Progressing      20       0  2026-01-01T00:00:00Z  confirm-promotion ask',
        '',
      ],
    ]);
    expect((await weft('canary list -n empty')).out).toBe('there is no Canary\n');
    expect(JSON.parse((await weft('canary list -o json')).out)).toMatchObject({
      canaries: [{ namespace: 'demo', name: 'web', phase: 'Progressing', weight: 20, revision: 'r2' }],
    });
  });

  const run = [
    { phase: 'Initialized', canaryWeight: 0 },
    progressing,
    progressing,
    { ...progressing, canaryWeight: 40 },
  ];

  it('follows one, a line for each change, until it is promoted', async () => {
    const { out, code } = await weft('canary watch web', { statuses: [...run, { phase: 'Succeeded' }] });
    expect(out.trim().split('\n')).toHaveLength(4);
    expect([code, out]).toEqual([EXIT.ok, expect.stringContaining('demo/web  Progressing  weight 40')]);
  });

  it('says by its exit code that it was rolled back, or that there was no end', async () => {
    expect((await weft('canary watch web', { statuses: [...run, { phase: 'Failed' }] })).code).toBe(EXIT.failed);
    const late = await weft('canary watch web --timeout 3');
    expect([late.code, late.err]).toEqual([EXIT.failed, 'no end within 3 s\n']);
  });

  it('draws the table anew on a screen', async () => {
    const { out } = await weft('canary watch --timeout 2', { colour: true });
    expect(out.split('\u001B[2A\u001B[J')).toHaveLength(3);
  });

  it.each(['promote', 'abort'] as const)('%s names the revision that is meant', async step => {
    const path = `/metadata/annotations/weft.dev~1canary-${step}`;
    const { patches, code } = await weft(`canary ${step} web`, { annotations: {} });
    expect([code, patches]).toEqual([
      EXIT.ok,
      [{ path: '/apis/weft.dev/v1alpha1/namespaces/demo/canaries/web', patch: [{ op: 'add', path, value: 'r2' }] }],
    ]);
    expect((await weft(`canary ${step} web`)).patches[0]?.patch.map(({ op }) => op)).toEqual(['test', 'add', 'add']);
    const rest = await weft(`canary ${step} web`, { statuses: [{ phase: 'Succeeded' }] });
    expect([rest.code, rest.patches, rest.err]).toEqual([
      EXIT.failed,
      [],
      expect.stringContaining('no run of demo/web'),
    ]);
  });

  it('pauses and resumes, once', async () => {
    const { patches } = await weft('canary pause web');
    expect(patches[0]?.patch).toEqual([{ op: 'add', path: '/spec/suspend', value: true }]);
    expect((await weft('canary pause web', { suspend: true })).code).toBe(EXIT.failed);
    expect((await weft('canary resume web', { suspend: true })).patches[0]?.patch).toEqual([
      { op: 'add', path: '/spec/suspend', value: false },
    ]);
    expect((await weft('canary pause other')).err).toContain('there is no Canary demo/other');
  });
});
