import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLock } from './build.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-components-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('a lock is held by one at a time, and the others follow', async () => {
  let inside = 0;
  let most = 0;
  const tasks = Array.from({ length: 5 }, () =>
    withLock(join(folder, 'lock'), async () => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(10);
      inside -= 1;
    }),
  );
  await Promise.all(tasks);
  expect(most).toBe(1);
});

test('a failure inside a lock is passed on and frees it', async () => {
  const path = join(folder, 'lock');
  await expect(withLock(path, async () => await Promise.reject(new Error('inside')))).rejects.toThrow('inside');
  expect(await withLock(path, async () => 'free')).toBe('free');
});

test('a lock whose holder was killed is free at once', async () => {
  const path = join(folder, 'lock');
  const script = `import { withLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    await withLock(${JSON.stringify(path)}, async () => { console.log('held'); await new Promise((r) => setTimeout(r, 60_000)); });`;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise(resolve => holder.stdout.once('data', resolve));
  let waited = false;
  const next = withLock(
    path,
    async () => 'free',
    () => {
      waited = true;
      holder.kill('SIGKILL');
    },
  );
  expect(await next).toBe('free');
  expect(waited).toBe(true);
});

test('two processes that ask at once get one build, and a later one gets the same path without building', async () => {
  const [first, second] = await Promise.all([buildPause(), buildPause()]);
  expect(first.path).toBe(second.path);
  expect(basename(first.path)).toBe('pause');
  expect([first, second].filter(({ log }) => log.includes('built in')).length).toBe(1);
  expect(await buildPause()).toEqual({ path: first.path, log: '' });
  const entries = await readdir(join(folder, 'weft/components'));
  expect(entries.filter(entry => entry.includes('.tmp-'))).toEqual([]);
});

async function buildPause(): Promise<{ path: string; log: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'build.ts'), 'pause'], {
    env: { ...process.env, XDG_CACHE_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { path: '', log: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.path += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.log += chunk.toString()));
  const code = await new Promise(resolve => child.once('close', resolve));
  if (code !== 0) throw new Error(`build.ts ended with ${String(code)}: ${output.log}`);
  return { path: output.path.trim(), log: output.log };
}
