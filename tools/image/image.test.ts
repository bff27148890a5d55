import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseLdd } from './dynamic-files.ts';
import { buildImage, dynamicFiles, type ImageFile } from './index.ts';

const run = promisify(execFile);
const longName = `${'deep/'.repeat(30)}file`;
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-image-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('equal content gives equal bytes, whatever the times, the order and the umask', async () => {
  const first = await archive('first', 0o644, files => files);
  const second = await archive('second', 0o600, files => files.toReversed());
  expect(await sha256(second)).toBe(await sha256(first));
});

test('a changed byte, mode, tag or setting changes the archive', async () => {
  const base = { tag: 'localhost/a:1', entrypoint: ['/a'] };
  const variants = [
    { ...base, files: [{ content: 'one', to: '/a' }] },
    { ...base, files: [{ content: 'two', to: '/a' }] },
    { ...base, files: [{ content: 'one', to: '/a', mode: 0o755 }] },
    { ...base, tag: 'localhost/a:2', files: [{ content: 'one', to: '/a' }] },
    { ...base, user: '2102', files: [{ content: 'one', to: '/a' }] },
  ];
  const digests = new Set<string>();
  for (const [index, options] of variants.entries()) {
    digests.add(await sha256(await buildImage(options, join(folder, `${index}.tar`))));
  }
  expect(digests.size).toBe(variants.length);
});

test('the manifest names the config and the layer by the digests of their content', async () => {
  const image = await archive('one', 0o644, files => files);
  await run('tar', ['-xf', image, '-C', folder]);
  const [manifest] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  expect(manifest.RepoTags).toEqual(['localhost/test:1']);
  const config = await readFile(join(folder, manifest.Config));
  expect(manifest.Config).toBe(`${createHash('sha256').update(config).digest('hex')}.json`);
  const parsed = JSON.parse(config.toString());
  expect(parsed.rootfs.diff_ids).toEqual([`sha256:${await sha256(join(folder, manifest.Layers[0]))}`]);
  expect(parsed.config).toMatchObject({
    Entrypoint: ['/bin/tool'],
    Env: ['A=1', 'B=2'],
    User: '7:7',
    WorkingDir: '/data',
  });
});

test('tar itself reads the layer: modes, links, long names, parents before their content', async () => {
  const image = await archive('one', 0o644, files => files);
  await run('tar', ['-xf', image, '-C', folder]);
  const [manifest] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const { stdout } = await run('tar', ['-tvf', join(folder, manifest.Layers[0]), '--numeric-owner']);
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => line.split(/\s+/));
  const modes = new Map(lines.map(fields => [fields[5], fields[0]]));
  expect(lines.every(fields => fields[1] === '0/0')).toBe(true);
  expect(modes.get('bin/tool')).toBe('-rwxr-xr-x');
  expect(modes.get('etc/tree/plain')).toBe('-rw-r--r--');
  expect(modes.get('tmp/')).toBe('drwxrwxrwt');
  expect(lines.find(fields => fields[5] === 'etc/tree/link')?.slice(6)).toEqual(['->', 'plain']);
  expect(modes.has(longName)).toBe(true);
  const paths = [...modes.keys()];
  expect(paths.indexOf('etc/')).toBeLessThan(paths.indexOf('etc/tree/'));
  expect(paths.indexOf('etc/tree/')).toBeLessThan(paths.indexOf('etc/tree/plain'));
});

test('a path outside the image is refused', async () => {
  const options = {
    tag: 'localhost/a:1',
    entrypoint: ['/a'],
    files: [
      { content: '', to: '/../a' },
      { content: '', to: '../a' },
    ],
  };
  await expect(buildImage(options, join(folder, 'a.tar'))).rejects.toThrow('is not a path inside an image');
});

test('a dynamic program runs from a folder that holds only itself and its dynamicFiles', async () => {
  const image = await buildImage(
    {
      tag: 'localhost/node:1',
      entrypoint: ['/node'],
      files: [{ from: process.execPath, to: '/node' }, ...(await dynamicFiles(process.execPath))],
    },
    join(folder, 'node.tar'),
  );
  await run('tar', ['-xf', image, '-C', folder]);
  const [manifest] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const root = join(folder, 'root');
  await mkdir(root);
  await run('tar', ['-xf', join(folder, manifest.Layers[0]), '-C', root]);
  const { stdout } = await run('unshare', [
    '--user',
    '--map-root-user',
    'chroot',
    root,
    '/node',
    '-p',
    'process.version',
  ]);
  expect(stdout.trim()).toBe(process.version);
});

test('ldd: paths with and without a name are taken, a missing library is an error', () => {
  const output =
    '\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x00007f)\n';
  expect(parseLdd(output)).toEqual(['/lib/libc.so.6', '/lib64/ld.so.2']);
  expect(() => parseLdd('\tlibgone.so.1 => not found\n')).toThrow('libgone.so.1 is not installed');
});

async function archive(name: string, mode: number, order: (files: ImageFile[]) => ImageFile[]): Promise<string> {
  const tree = join(folder, `${name}-tree`);
  await mkdir(tree);
  await writeFile(join(tree, 'plain'), 'content', { mode });
  await symlink('plain', join(tree, 'link'));
  await utimes(join(tree, 'plain'), new Date(), new Date(mode * 1000));
  const files: ImageFile[] = [
    { from: tree, to: '/etc/tree' },
    { content: 'tool', to: '/bin/tool', mode: 0o755 },
    { content: 'long', to: `/${longName}` },
    { directory: true, to: '/tmp', mode: 0o1777 },
  ];
  return await buildImage(
    {
      tag: 'localhost/test:1',
      entrypoint: ['/bin/tool'],
      env: { B: '2', A: '1' },
      user: '7:7',
      workdir: '/data',
      files: order(files),
    },
    join(folder, `${name}.tar`),
  );
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
