// Bundles the programs: dist/operator.js and dist/weft.js, each one file with everything it imports, and its source map beside it.
//
// `node tools/build.ts [operator] [weft]` builds those named, or both.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { build, type OutputFile, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

export type ProgramName = 'operator' | 'weft';

const entries: Readonly<Record<ProgramName, string>> = { operator: 'src/operator/main.ts', weft: 'src/cli/main.ts' };

/** Writes the bundle and its map below dist/; returns the path of the bundle. */
export async function bundle(name: ProgramName): Promise<string> {
  const files = await bundled(name);
  await mkdir(dist, { recursive: true });
  for (const { path, contents } of files) await writeFile(path, contents);
  const script = join(dist, `${name}.js`);
  if (name === 'weft') await chmod(script, 0o755);
  return script;
}

/** The text of the bundle; nothing is written. */
export async function bundleText(name: ProgramName): Promise<Buffer> {
  const script = (await bundled(name)).find(({ path }) => path.endsWith('.js'));
  if (script === undefined) throw new Error(`esbuild made no ${name}.js`);
  return Buffer.from(script.contents);
}

// Names are kept and nothing is shortened: a stack trace in a log must be readable without the map.
async function bundled(name: ProgramName): Promise<readonly OutputFile[]> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entries[name]],
    outfile: join(dist, `${name}.js`),
    write: false,
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
  return outputFiles;
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
