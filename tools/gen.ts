/**
 * Writes everything that is generated: crds/, docs/reference/ and docs/cli.md (from src), src/gen (from proto/, by buf), and what charts/ and config/ hold
 * of these (tools/chart). With `--check` it writes nothing and fails when a file is stale, missing or left over, naming each.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chartOutOfDate } from './chart/index.ts';
import { type Output, outputs } from './gen/outputs.ts';

const root = join(import.meta.dirname, '..');
/** Folders that hold generated files and nothing else. */
const OWNED = ['crds', 'docs/reference', 'src/gen'];

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const wanted = [...outputs(), ...protobuf()];
const own = differences(wanted);
if (!values.check) for (const path of own) write(path);
// After the former: the chart copies what is in crds/ by then.
const stale = [...own, ...(await chartOutOfDate(!values.check))];

if (!values.check) {
  console.log(stale.length === 0 ? 'gen: nothing to do' : `gen: wrote\n  ${stale.join('\n  ')}`);
} else if (stale.length > 0) {
  console.error(`gen: stale (run \`npm run gen\` and commit):\n  ${stale.join('\n  ')}`);
  process.exitCode = 1;
}

/** Runs buf into a scratch folder, so that checking writes nothing into the tree. */
function protobuf(): readonly Output[] {
  const scratch = mkdtempSync(join(tmpdir(), 'weft-gen-'));
  try {
    const buf = join(root, 'node_modules/.bin/buf');
    execFileSync(buf, ['generate', '--output', scratch], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    return filesBelow(join(scratch, 'src/gen')).map(path => ({
      path: join('src/gen', path),
      content: readFileSync(join(scratch, 'src/gen', path), 'utf8'),
    }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Paths whose content is not as wanted, and files that nothing generates any more. */
function differences(files: readonly Output[]): readonly string[] {
  const known = new Set(files.map(file => file.path));
  const changed = files.filter(({ path, content }) => {
    const target = join(root, path);
    return !existsSync(target) || readFileSync(target, 'utf8') !== content;
  });
  const left = OWNED.flatMap(folder => filesBelow(join(root, folder)).map(path => join(folder, path)));
  return [...changed.map(file => file.path), ...left.filter(path => !known.has(path))];
}

function write(path: string): void {
  const file = wanted.find(candidate => candidate.path === path);
  const target = join(root, path);
  if (file === undefined) {
    rmSync(target);
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, file.content);
}

function filesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}
