// Bundles the programs: dist/operator.js and dist/weft.js, each one file with everything it imports, and its source map beside it.
//
// `node tools/build.ts [operator] [weft]` builds those named, or both.

import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { build, type Plugin } from 'esbuild';

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
    plugins: [withoutUnusedKinds],
    // Bundled CommonJS packages call require() for node's own modules, which an ES module has not got.
    banner: { js: `${name === 'weft' ? '#!/usr/bin/env node\n' : ''}${requireBanner}` },
  });
  if (name === 'weft') await chmod(outfile, 0o755);
  return outfile;
}

/**
 * The Kubernetes client has a class for every kind, 18 MB of source, of which we use none; its package does not say that its modules may be left out
 * when nothing of them is used. Source text counts: a running program keeps all of it in memory.
 *
 * The operator's base class requires the package whole, for two clients that it makes and for a watch; src/kube replaces every method that
 * uses them, so here they are empty.
 */
const withoutUnusedKinds: Plugin = {
  name: 'without-unused-kinds',
  setup(build) {
    build.onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
      if (pluginData === 'resolving' || !/@kubernetes.client-node/.test(`${path} ${resolveDir}`)) return undefined;
      if (/@dot-i.k8s-operator/.test(importer))
        return { path: 'client-of-base-class', namespace: 'weft', pluginData: resolveDir };
      const found = await build.resolve(path, { kind, resolveDir, importer, pluginData: 'resolving' });
      return found.errors.length > 0 ? undefined : { ...found, sideEffects: false };
    });
    build.onLoad({ filter: /.*/, namespace: 'weft' }, () => ({ contents: clientOfBaseClass, resolveDir: root }));
  },
};

const clientOfBaseClass = `
  export { KubeConfig } from '@kubernetes/client-node/dist/config.js';
  export { loadYaml } from '@kubernetes/client-node/dist/yaml.js';
  export class CoreV1Api {}
  export class ApiextensionsV1Api {}
  export class Watch { constructor() { throw new Error('src/kube watches'); } }
`;

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
