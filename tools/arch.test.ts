import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

// The layer table of ARCHITECTURE.md. A file imports only from its own folder and from lower layers; folders of L4 never import each other.
const layers: Readonly<Record<string, number>> = {
  kernel: 0,
  runtime: 0,
  contract: 1,
  api: 1,
  gen: 1,
  model: 2,
  kube: 2,
  identity: 2,
  compile: 3,
  evaluate: 3,
  wire: 3,
  telemetry: 3,
  reconcilers: 4,
  configserver: 4,
  peers: 4,
  webhooks: 4,
  dashboard: 4,
  operatorapi: 4,
  cli: 4,
  operator: 5,
};

const root = resolve(import.meta.dirname, '..', 'src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
const isTest = (name: string): boolean =>
  name.endsWith('.test.ts') || name.includes('testdata') || name.includes('/testing/');

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(match =>
    relative(root, resolve(root, dirname(file), match[1] ?? '')),
  );
}

const folderOf = (file: string): string => file.split('/')[0] ?? '';

describe('layers', () => {
  it('every folder of src is in the layer table', () => {
    const unknown = new Set(files.map(folderOf).filter(folder => !(folder in layers)));
    expect([...unknown]).toEqual([]);
  });

  it('a file imports only its own folder and lower layers', () => {
    const wrong: string[] = [];
    for (const file of files.filter(name => !isTest(name))) {
      const from = folderOf(file);
      for (const target of importsOf(file)) {
        // The version stands in one place.
        if (target === '../package.json') continue;
        const to = folderOf(target);
        if (to === from) continue;
        if ((layers[to] ?? 99) < (layers[from] ?? -1)) continue;
        wrong.push(`${file} -> ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('only the composition roots read the environment and the process', () => {
    const allowed = /^(operator\/|cli\/main\.ts)/;
    const wrong = files
      .filter(name => !isTest(name) && !allowed.test(name))
      .filter(name => /\bprocess\.(env|argv|exit)\b/.test(readFileSync(join(root, name), 'utf8')));
    expect(wrong).toEqual([]);
  });
});
