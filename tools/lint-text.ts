// Checks on text that no linter of a language makes: file length, words that must not be in the tree, machine paths.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const maxLines = 450;
const generated = /(^|\/)gen\/|package-lock\.json|Cargo\.lock|go\.sum|\.api\.json$|^crds\/|testdata\//;
const code = /\.(ts|rs|go|sh)$/;
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/\/root\/\.|\/home\/[a-z]+\//, 'a path of one machine'],
  [
    /registry\.npmjs|proxy\.golang\.org|static\.crates\.io|index\.crates\.io|deb\.debian\.org/,
    'the host of a registry',
  ],
  [/@ts-ignore|@ts-expect-error/, 'a silenced type error'],
  [/\b(it|test|describe)\.only\(/, 'a test that silences the others'],
];

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);
const problems: string[] = [];
for (const file of files) {
  if (generated.test(file) || file === 'tools/lint-text.ts' || /\.(png|tar|gz|ico)$/.test(file)) continue;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    continue; // deleted in the work tree
  }
  const lines = text.split('\n');
  if (code.test(file) && lines.length - 1 > maxLines) {
    problems.push(`${file}: ${lines.length - 1} lines, ${maxLines} at most: split it by job`);
  }
  for (const [pattern, what] of forbidden) {
    const at = lines.findIndex(line => pattern.test(line));
    if (at >= 0) problems.push(`${file}:${at + 1}: holds ${what}`);
  }
}
for (const problem of problems) console.error(problem);
console.log(`text: ${files.length} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
