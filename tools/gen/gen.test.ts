import { expect, test } from 'vitest';
import { cliPage } from './cli.ts';
import { outputs } from './outputs.ts';

test('the page of the command line has the help of every command', () => {
  const headings = [...cliPage().matchAll(/^## weft (.*)$/gm)].map(([, name]) => name);
  expect(headings).toEqual([
    'check',
    'status',
    'certs',
    'stat',
    'proxy-config',
    'upgrade-proxies',
    'canary',
    'version',
  ]);
  expect(cliPage()).toContain('Exit codes:');
});

test('the page of the operator has every flag of its help', () => {
  const page = outputs().find(({ path }) => path === 'docs/reference/operator.md')?.content ?? '';
  for (const flag of ['--controllers', '--log-level', '--shutdown-seconds']) expect(page).toContain(`| \`${flag}\` |`);
});

test('no two outputs have one path', () => {
  const paths = outputs().map(({ path }) => path);
  expect(new Set(paths).size).toBe(paths.length);
});
