import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type InjectOptions, type Labelled, type PodObject, inject } from './index.ts';
import { aMesh, aNamespace, applyPatch, injectOptions } from './testing.ts';

// Each testdata/<case>.in.yaml has its <case>.want.yaml: the pod as the API server would store it, or the reason why it stays as it is. Run with
// UPDATE_GOLDEN=1 to write them anew, and read the diff.

interface Case {
  readonly pod: PodObject;
  readonly namespace?: Partial<Labelled>;
  readonly mesh?: Record<string, unknown>;
  readonly meshName?: string;
  readonly trustAnchorsPem?: string;
  readonly options?: Partial<InjectOptions>;
}

const directory = fileURLToPath(new URL('testdata/', import.meta.url));
const names = readdirSync(directory)
  .filter(file => file.endsWith('.in.yaml'))
  .map(file => file.slice(0, -'.in.yaml'.length));

function run(name: string, change: (pod: PodObject) => PodObject = pod => pod) {
  const given = parse(readFileSync(`${directory}${name}.in.yaml`, 'utf8')) as Case;
  const pod = change(given.pod);
  const overrides = {
    ...(given.meshName === undefined ? {} : { name: given.meshName }),
    ...(given.trustAnchorsPem === undefined ? {} : { trustAnchorsPem: given.trustAnchorsPem }),
  };
  const mesh = aMesh(given.mesh, overrides);
  const answer = inject(pod, aNamespace(given.namespace), mesh, injectOptions(given.options));
  return { pod, answer, patched: applyPatch(pod, answer.patch) };
}

describe('injection', () => {
  it('has its cases', () => expect(names.length).toBeGreaterThanOrEqual(20));

  it.each(names)('%s', name => {
    const { answer, patched } = run(name);
    const result = {
      skipped: answer.skipped,
      warnings: answer.warnings,
      pod: answer.patch.length === 0 ? undefined : patched,
    };
    const text = stringify(JSON.parse(JSON.stringify(result)), { lineWidth: 140, aliasDuplicateObjects: false });
    const file = `${directory}${name}.want.yaml`;
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  it.each(names)('%s: a second time changes nothing', name => {
    const { patched } = run(name);
    expect(run(name, () => patched).answer.patch).toEqual([]);
  });

  it('sees to the probes of containers that another webhook added after us', () => {
    const { patched } = run('plain');
    const late = { name: 'late', readinessProbe: { tcpSocket: { port: 7000 } } };
    const again = run('plain', () => ({
      ...patched,
      spec: { ...patched.spec, containers: [...(patched.spec?.containers ?? []), late] },
    }));
    expect(again.answer.patch).toEqual([
      {
        op: 'replace',
        path: '/spec/containers/1/readinessProbe',
        value: { httpGet: { path: '/probe/tcp/7000', port: 4191 } },
      },
    ]);
  });
});
