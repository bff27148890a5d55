import { expect, test } from 'vitest';
import { cliPage, isUpToDate } from './cli-docs.ts';

test('docs/cli.md is the help of every command; if not: node tools/cli-docs.ts', async () => {
  const headings = [...cliPage().matchAll(/^## weft (.*)$/gm)].map(([, name]) => name);
  expect(headings).toEqual(['check', 'status', 'stat', 'proxy-config', 'version']);
  expect(cliPage()).toContain('Exit codes:');
  expect(await isUpToDate()).toBe(true);
});
