// Bundles the programs: dist/operator.js and dist/weft.js, each one file with everything it imports, and its source map beside it.
//
// `node tools/build.ts [operator] [weft]` builds those named, or both.

import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

export type ProgramName = 'operator' | 'weft';

const entries: Readonly<Record<ProgramName, string>> = { operator: 'src/operator/main.ts', weft: 'src/cli/main.ts' };

/** Returns the path of the bundle. Names are kept and nothing is shortened: a stack trace in a log must be readable without the map. */
export async function bundle(name: ProgramName): Promise<string> {
  const outfile = join(root, 'dist', `${name}.js`);
  await build({
    absWorkingDir: root,
    entryPoints: [entries[name]],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    // Bundled CommonJS packages call require() for node's own modules, which an ES module has not got.
    banner: { js: `${name === 'weft' ? '#!/usr/bin/env node\n' : ''}${requireBanner}` },
  });
  if (name === 'weft') await chmod(outfile, 0o755);
  return outfile;
}

const requireBanner = [
  "import { createRequire as createRequireForBundle } from 'node:module';",
  'const require = createRequireForBundle(import.meta.url);',
].join('\n');

if (import.meta.main) {
  const names = Object.keys(entries) as ProgramName[];
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter(name => !names.some(known => known === name));
  if (unknown.length > 0) {
    process.stderr.write(`usage: build.ts [${names.join('] [')}]\n`);
    process.exitCode = 2;
  } else {
    for (const name of names)
      if (wanted.length === 0 || wanted.includes(name)) process.stdout.write(`${await bundle(name)}\n`);
  }
}
