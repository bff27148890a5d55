// The programs that the local node and its tests need, built from public modules.
//
// Owns: the folders beside this file and the cache `~/.cache/weft/components`. May import: node's own modules only.
// `node tools/components/build.ts all|NAME...` builds what is missing and prints the paths.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { withLock } from './lock.ts';
import { type ComponentName, type CRecipe, componentNames, type GoRecipe, recipes } from './recipes.ts';

export { withLock } from './lock.ts';
export type { ComponentName } from './recipes.ts';

const run = promisify(execFile);

/** Where everything built is kept: `$XDG_CACHE_HOME/weft`, by default `~/.cache/weft`. */
export function cacheRoot(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weft');
}

/**
 * Path of the built binary; builds it if no build of the same sources by the same compiler is cached.
 * Links (`kubectl`, ...) and assets (`assets/*.yaml`) lie in the same folder. Safe when several processes ask at once.
 */
export async function ensureComponent(name: ComponentName): Promise<string> {
  const folder = join(cacheRoot(), 'components', `${name}-${await fingerprint(name)}`);
  const binary = join(folder, name);
  if (await exists(binary)) return binary;
  const waiting = () => report(`${name}: another process is building it`);
  return await withLock(
    `${folder}.lock`,
    async () => ((await exists(binary)) ? binary : await build(name, folder)),
    waiting,
  );
}

async function build(name: ComponentName, folder: string): Promise<string> {
  const startedMs = performance.now();
  report(`${name}: building`);
  await mkdir(dirname(folder), { recursive: true });
  await removeLeftovers(folder);
  const scratch = await mkdtemp(`${folder}.tmp-`);
  try {
    const recipe = recipes[name];
    if (recipe.build.kind === 'go') await buildGo(name, recipe.build, join(scratch, name));
    else await buildC(name, recipe.build, join(scratch, name));
    for (const link of recipe.links) await symlink(name, join(scratch, link));
    if (recipe.assets !== undefined && recipe.build.kind === 'go' && recipe.build.versionOf !== undefined) {
      const from = join(await moduleField(name, recipe.build.versionOf, 'Dir'), recipe.assets.folder);
      await copyMatching(from, join(scratch, 'assets'), recipe.assets.pattern);
    }
    await rename(scratch, folder);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
  report(`${name}: built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  return join(folder, name);
}

// Called under the lock: what a killed build left, and a folder without its binary, belong to nobody.
async function removeLeftovers(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  const prefix = `${basename(folder)}.tmp-`;
  for (const entry of await readdir(dirname(folder))) {
    if (entry.startsWith(prefix)) await rm(join(dirname(folder), entry), { recursive: true, force: true });
  }
}

async function buildGo(name: ComponentName, recipe: GoRecipe, output: string): Promise<void> {
  const version = recipe.versionOf === undefined ? '' : await moduleField(name, recipe.versionOf, 'Version');
  const [major = '', minor = ''] = version.replace(/^v/, '').split('.');
  const stamps = recipe.stamps.map(stamp =>
    stamp.replace('${version}', version).replace('${major}', major).replace('${minor}', minor),
  );
  const linkerFlags = ['-s', '-w', ...stamps.flatMap(stamp => ['-X', stamp])].join(' ');
  const options = { cwd: sourceFolder(name), env: { ...process.env, CGO_ENABLED: '0' }, maxBuffer: 64 * 1024 * 1024 };
  await run('nice', ['go', 'build', '-trimpath', '-ldflags', linkerFlags, '-o', output, recipe.package], options);
}

async function buildC(name: ComponentName, recipe: CRecipe, output: string): Promise<void> {
  await run('cc', ['-static', '-Os', '-s', '-Wall', '-Werror', '-o', output, join(sourceFolder(name), recipe.source)]);
}

async function fingerprint(name: ComponentName): Promise<string> {
  const recipe = recipes[name];
  const hash = createHash('sha256');
  const compiler =
    recipe.build.kind === 'go'
      ? await run('go', ['version'], { cwd: sourceFolder(name) })
      : await run('cc', ['--version']);
  hash.update(JSON.stringify([recipe, recipe.assets?.pattern.source, compiler.stdout]));
  const entries = await readdir(sourceFolder(name), { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  for (const file of files.toSorted())
    hash.update(`\0${relative(sourceFolder(name), file)}\0`).update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

async function moduleField(name: ComponentName, module: string, field: 'Version' | 'Dir'): Promise<string> {
  const { stdout } = await run('go', ['list', '-m', '-f', `{{.${field}}}`, module], { cwd: sourceFolder(name) });
  return stdout.trim();
}

async function copyMatching(from: string, to: string, pattern: RegExp): Promise<void> {
  await mkdir(to);
  const names = (await readdir(from)).filter(file => pattern.test(file));
  if (names.length === 0) throw new Error(`no file of ${from} matches ${pattern}`);
  for (const file of names) await copyFile(join(from, file), join(to, file));
}

function sourceFolder(name: ComponentName): string {
  return join(import.meta.dirname, recipes[name].folder ?? name);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function report(line: string): void {
  process.stderr.write(`component ${line}\n`);
}

async function main(wanted: readonly string[]): Promise<void> {
  const names = wanted.includes('all') ? componentNames : componentNames.filter(name => wanted.includes(name));
  const unknown = wanted.filter(name => name !== 'all' && !names.some(known => known === name));
  if (names.length === 0 || unknown.length > 0) {
    process.stderr.write(`usage: build.ts all|NAME...   names: ${componentNames.join(' ')}\n`);
    process.exitCode = 2;
    return;
  }
  // One after the other: each build uses every core by itself.
  for (const name of names) process.stdout.write(`${await ensureComponent(name)}\n`);
}

if (import.meta.main) await main(process.argv.slice(2));
