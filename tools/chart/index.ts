// What is generated for people who install Weft: the chart's values table and schema, its copies of the CRDs, and the kustomize base.
//
// Owns: charts/weft/{README.md,values.schema.json,files/crds,crds}, config.
// May import: tools/components (helm), src/api (samples). `node tools/chart/index.ts` writes what is out of date, `--check` only says what is.

import { mkdir, readFile, rm, writeFile, readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { crdFiles } from './crds.ts';
import { kustomizeCrds, kustomizeFiles, kustomizeSamples } from './kustomize.ts';
import { readmeFiles } from './readme.ts';

export const root = resolve(import.meta.dirname, '../..');

/** Content by path below the root. A folder that `owns` names holds nothing else. */
export interface Generated {
  readonly files: ReadonlyMap<string, string>;
  readonly owns: readonly string[];
}

/** Paths whose content is not what it should be; with `write` they are corrected. */
export async function outOfDate(generated: Generated, write: boolean): Promise<string[]> {
  const wrong: string[] = [];
  for (const [path, content] of generated.files) {
    const absolute = join(root, path);
    if ((await readFile(absolute, 'utf8').catch(() => undefined)) === content) continue;
    wrong.push(path);
    if (!write) continue;
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, content);
  }
  for (const folder of generated.owns) {
    for (const name of await readdir(join(root, folder)).catch(() => [])) {
      const path = relative(root, join(root, folder, name));
      if (generated.files.has(path)) continue;
      wrong.push(path);
      if (write) await rm(join(root, path));
    }
  }
  return wrong;
}

/** In this order: the base is rendered from the chart, so the chart's files come first. */
export const generators: readonly (() => Promise<Generated>)[] = [
  crdFiles,
  readmeFiles,
  kustomizeCrds,
  kustomizeFiles,
  kustomizeSamples,
];

if (import.meta.main) {
  const write = !process.argv.includes('--check');
  const wrong: string[] = [];
  for (const generate of generators) wrong.push(...(await outOfDate(await generate(), write)));
  for (const path of wrong) process.stderr.write(`${write ? 'written' : 'out of date'}: ${path}\n`);
  if (!write && wrong.length > 0) {
    process.stderr.write('run: node tools/chart/index.ts\n');
    process.exitCode = 1;
  }
}
