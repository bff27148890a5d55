// What Weft is made of: licences, banned and doubled crates, where crates come from (proxy-image/deny.toml), and the licences of npm's packages.
//
// cargo-deny would check the first part too, but takes minutes to build; see docs/adr/0005-dependency-checks.md.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isAllowed } from './dependencies/spdx.ts';

const root = join(import.meta.dirname, '..');
const CRATES = 'registry+https://github.com/rust-lang/crates.io-index';
const TARGETS = ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu'];
/** What is not allowed in what we ship, of packages that only build and test it. */
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  // vite's CSS compiler.
  npm: ['MPL-2.0'],
  // libFuzzer.
  fuzz: ['NCSA'],
};

interface Crate {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
}

interface Policy {
  readonly allow: ReadonlySet<string>;
  readonly banned: ReadonlyMap<string, string>;
  /** Name, and the beginning of the version that may stand beside another. */
  readonly doubled: readonly { readonly name: string; readonly version: string }[];
}

/** The little of TOML that deny.toml is written in. */
function policy(): Policy {
  const text = readFileSync(join(root, 'proxy-image/deny.toml'), 'utf8').replaceAll(/^\s*#.*$/gm, '');
  const list = (name: string): string => {
    const body = new RegExp(`^${name} = \\[(.*?)^\\]`, 'ms').exec(text)?.[1];
    if (body === undefined) throw new Error(`proxy-image/deny.toml: no list ${name}`);
    return body;
  };
  const crates = (name: string): readonly (readonly [string, string])[] =>
    [...list(name).matchAll(/\{ crate = "([^"]+)", reason = "([^"]+)" \}/g)].map(([, crate = '', reason = '']) => [
      crate,
      reason,
    ]);
  return {
    allow: new Set([...list('allow').matchAll(/"([^"]+)"/g)].map(([, licence = '']) => licence)),
    banned: new Map(crates('deny')),
    doubled: crates('skip').map(([crate]) => {
      const [name = '', version = ''] = crate.split('@');
      return { name, version };
    }),
  };
}

/** The crates that are really built: `cargo metadata` lists optional ones that nobody enables. */
function built(folder: string): readonly Crate[] {
  const argv = ['tree', '--workspace', '--locked', '--edges', 'all', '--prefix', 'none', '--format', '{p}\t{l}'];
  const targets = TARGETS.flatMap(target => ['--target', target]);
  const output = execFileSync('cargo', [...argv, ...targets], { cwd: folder, encoding: 'utf8' });
  const crates = new Map<string, Crate>();
  for (const line of output.split('\n')) {
    const found = /^(\S+) v(\S+)(?: \([^\t]*\))?\t(.*?)(?: \(\*\))?$/.exec(line);
    if (found === null) continue;
    const [, name = '', version = '', licence = ''] = found;
    crates.set(`${name}@${version}`, { name, version, licence });
  }
  return [...crates.values()];
}

function licence(what: string, expression: string | undefined, allow: ReadonlySet<string>): string[] {
  if (expression === undefined || expression === '') return [`${what} has no licence`];
  try {
    return isAllowed(expression, allow) ? [] : [`${what}: ${expression} is not among the licences allowed`];
  } catch (thrown) {
    return [`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
  }
}

function workspace(folder: string, { allow, banned, doubled }: Policy, also: readonly string[]): string[] {
  const path = join(root, folder);
  const crates = built(path);
  if (crates.length < 10) throw new Error(`${folder}: cargo tree names ${crates.length} crates`);
  const licences = new Set([...allow, ...also]);
  const problems = crates.flatMap(({ name, version, licence: said }) => [
    ...licence(`${folder}: ${name} ${version}`, said, licences),
    ...(banned.has(name) ? [`${folder}: ${name} is banned: ${banned.get(name)}`] : []),
  ]);
  for (const [, source] of readFileSync(join(path, 'Cargo.lock'), 'utf8').matchAll(/^source = "(.*)"$/gm)) {
    if (source !== CRATES) problems.push(`${folder}/Cargo.lock: ${source} is not crates.io`);
  }
  const manifest = JSON.parse(
    execFileSync('cargo', ['metadata', '--no-deps', '--locked', '--format-version', '1'], {
      cwd: path,
      encoding: 'utf8',
    }),
  );
  for (const { name, dependencies } of manifest.packages) {
    for (const dependency of dependencies) {
      if (dependency.req === '*' && dependency.path === undefined) {
        problems.push(`${folder}: ${name} takes any version of ${dependency.name}`);
      }
    }
  }
  return also.length === 0 ? [...problems, ...doubles(folder, crates, doubled)] : problems;
}

function doubles(folder: string, crates: readonly Crate[], doubled: Policy['doubled']): string[] {
  const skipped = ({ name, version }: Crate) =>
    doubled.find(
      known => known.name === name && (version === known.version || version.startsWith(`${known.version}.`)),
    );
  const needed = new Set(crates.map(skipped));
  const problems = doubled
    .filter(known => !needed.has(known))
    .map(({ name, version }) => `proxy-image/deny.toml: ${name}@${version} is not there any more: take it out`);
  const counted = Map.groupBy(
    crates.filter(crate => skipped(crate) === undefined),
    crate => crate.name,
  );
  for (const [name, versions] of counted) {
    if (versions.length > 1) {
      problems.push(`${folder}: ${name} is there as ${versions.map(({ version }) => version).join(' and ')}`);
    }
  }
  return problems;
}

function npm({ allow }: Policy): string[] {
  const { packages }: { packages: Record<string, { license?: string; dev?: boolean; resolved?: string }> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  );
  const all = Object.entries(packages).filter(([path]) => path !== '');
  if (all.length < 10) throw new Error('package-lock.json names no packages');
  const tools = new Set([...allow, ...(TOOLS['npm'] ?? [])]);
  return all.flatMap(([path, { license, dev, resolved }]) => [
    ...licence(`package-lock.json: ${path.replace(/^.*node_modules\//, '')}`, license, dev === true ? tools : allow),
    ...(resolved !== undefined && /^git|github/.test(resolved) ? [`package-lock.json: ${path} is not from npm`] : []),
  ]);
}

const rules = policy();
const problems = [
  ...workspace('proxy-image', rules, []),
  ...workspace('proxy-image/fuzz', rules, TOOLS['fuzz'] ?? []),
  ...npm(rules),
];
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(`dependencies: ${problems.length} problems\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
