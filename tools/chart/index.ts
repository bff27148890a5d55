// What is generated for people who install Weft: the chart's values table and schema, its copies of the CRDs, and the kustomize base.
//
// Owns: charts/weft/{README.md,values.schema.json,files/crds,crds}, config.
// May import: tools/components (helm), src/api (samples). tools/gen.ts writes what is out of date.

import { mkdir, readFile, rm, writeFile, readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { crdFiles } from './crds.ts';
import { kustomizeCanary, kustomizeCni, kustomizeCrds, kustomizeFiles, kustomizeSamples } from './kustomize.ts';
import { readmeFiles } from './readme.ts';

const root = resolve(import.meta.dirname, '../..');

/** Content by path below the root. A folder that `owns` names holds nothing else. */
export interface Generated {
  readonly files: ReadonlyMap<string, string>;
  readonly owns: readonly string[];
}

async function outOfDate(generated: Generated, write: boolean): Promise<string[]> {
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

/** Each is made when those before it are written: the copies come from crds/, and the base is rendered from the chart. */
const generators: readonly (() => Promise<Generated>)[] = [
  crdFiles,
  readmeFiles,
  kustomizeCrds,
  kustomizeFiles,
  kustomizeCni,
  kustomizeCanary,
  kustomizeSamples,
];

/** Paths of this folder's making that are not what they should be; with `write` they are corrected. */
export async function chartOutOfDate(write: boolean): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const generate of generators) wrong.push(...(await outOfDate(await generate(), write)));
  return wrong;
}
