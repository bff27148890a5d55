// `node bench/report.ts`: writes docs/performance.md and its charts from the newest file in bench/results. `publish` adds a file there first.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pages } from './page.ts';
import type { Results } from './results.ts';

const root = resolve(import.meta.dirname, '..');
const resultsFolder = join(import.meta.dirname, 'results');

/** The run that the documentation shows; undefined when none is committed. */
export function newestResults(): Results | undefined {
  const names = existsSync(resultsFolder) ? readdirSync(resultsFolder).filter(name => name.endsWith('.json')) : [];
  const newest = names.toSorted().at(-1);
  return newest === undefined ? undefined : (JSON.parse(readFileSync(join(resultsFolder, newest), 'utf8')) as Results);
}

export function writePages(): void {
  const results = newestResults();
  if (results === undefined) throw new Error('no results in bench/results: run `node bench/main.ts --publish`');
  for (const [name, text] of Object.entries(pages(results))) writeFileSync(join(root, 'docs', name), text);
}

/** Makes the results at `path` those that the documentation shows. */
export function publish(path: string): void {
  const text = readFileSync(path, 'utf8');
  mkdirSync(resultsFolder, { recursive: true });
  writeFileSync(join(resultsFolder, `${(JSON.parse(text) as Results).taken}.json`), text);
  writePages();
}

if (import.meta.main) writePages();
