// `node bench/scale/report.ts`: writes docs/scale.md from bench/results/scale/<date>.json, the newest. `publishScale` adds a file there first.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { scalePage } from './page.ts';
import type { ScaleResults } from './results.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'bench/results/scale');

export function newestScale(): ScaleResults | undefined {
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.json')) : [];
  const newest = names.toSorted().at(-1);
  return newest === undefined ? undefined : (JSON.parse(readFileSync(join(folder, newest), 'utf8')) as ScaleResults);
}

export function writeScalePage(): void {
  const results = newestScale();
  if (results === undefined)
    throw new Error('no results in bench/results/scale: run `node bench/scale/main.ts --publish`');
  writeFileSync(join(root, 'docs/scale.md'), scalePage(results));
}

export function publishScale(path: string): void {
  const text = readFileSync(path, 'utf8');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${(JSON.parse(text) as ScaleResults).taken}.json`), text);
  writeScalePage();
}

if (import.meta.main) writeScalePage();
