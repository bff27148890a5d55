import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { canonicalJson, podKey } from '../kernel/index.ts';
import { snapshotOf, viewKey } from '../model/index.ts';
import { changesBetween, compile, render, whoIs } from './index.ts';
import { OPTIONS, readCase } from './testing/golden-case.ts';
import { likeStores } from './testing/stores.ts';

const folder = join(import.meta.dirname, 'testdata');
const cases = globSync('*/*/input.yaml', { cwd: folder }).toSorted();

/** Resources that differ when one object comes or goes, and that are said not to. */
function missed(file: string): { readonly differing: number; readonly missed: readonly string[] } {
  const golden = readCase(readFileSync(join(folder, file), 'utf8'));
  const whole = snapshotOf(golden.objects).snapshot;
  const found: string[] = [];
  let differing = 0;
  for (const gone of golden.objects) {
    const without = likeStores(whole, snapshotOf(golden.objects.filter(object => object !== gone)).snapshot);
    const [full, less] = [compile(whole, OPTIONS).plan, compile(without, OPTIONS).plan];
    for (const [former, plan] of [
      [full, less],
      [less, full],
    ] as const) {
      const may = changesBetween(former, plan);
      const asks = Object.entries(golden.render).flatMap(([pod, names]) => names.map(asked => [pod, asked] as const));
      for (const [pod, asked] of asks) {
        const [namespace = '', name = ''] = pod.split('/');
        const [before, who] = [former, plan].map(of => whoIs(of, podKey(namespace, name)));
        // A pod that comes, goes or moves has everything asked for anew.
        if (before === undefined || who === undefined || viewKey(before.view) !== viewKey(who.view)) continue;
        const [was, is] = [render(former, who, asked), render(plan, who, asked)];
        if (canonicalJson(was ?? null) === canonicalJson(is ?? null)) continue;
        differing += 1;
        if (!may(who, asked)) found.push(`${file} ${pod} ${asked} with or without ${JSON.stringify(gone['metadata'])}`);
      }
    }
  }
  return { differing, missed: found };
}

it('in every golden case, what differs with or without an object is looked at again', () => {
  const outcomes = cases.map(missed);
  expect(outcomes.flatMap(outcome => outcome.missed)).toEqual([]);
  expect(outcomes.reduce((sum, { differing }) => sum + differing, 0)).toBeGreaterThan(200);
}, 120_000);
