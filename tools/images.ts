// The images of the operator and the proxy, without a container engine.
//
// `node tools/images.ts [operator] [proxy]` builds those named, or both, and prints "tag<TAB>path of the docker-archive". The tag is the hash of
// what the image is made from: an image that a node holds under it is never a stale one, so imagePullPolicy IfNotPresent is right.

import { execFile, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { bundleText } from './build.ts';
import { cacheRoot, withLock } from './components/build.ts';
import { buildImage, dynamicFiles, type ImageFile, type ImageOptions } from './image/index.ts';
import { OPERATOR_NODE_OPTIONS } from './image/operator-options.ts';

const root = join(import.meta.dirname, '..');

/** Builds of a proxy whose sources are edited meanwhile. */
const ATTEMPTS = 3;
/** Images of one name that the cache keeps; one of the operator is 128 MB. */
const KEPT = 4;

export type WeftImage = 'operator' | 'proxy';

export interface BuiltImage {
  /** `localhost/weft-proxy` */
  readonly repository: string;
  /** 12 hexadecimal digits. */
  readonly tag: string;
  /** The docker-archive. */
  readonly path: string;
}

/** Builds the image if none of the same inputs is cached. */
export async function ensureWeftImage(name: WeftImage): Promise<BuiltImage> {
  return await (name === 'operator' ? operatorImage() : proxyImage());
}

async function operatorImage(): Promise<BuiltImage> {
  const node = await realpath(join(root, 'node_modules/node/bin/node'));
  const files: ImageFile[] = [
    { from: node, to: '/usr/bin/node', mode: 0o755 },
    ...(await dynamicFiles(node)),
    { content: await bundleText('operator'), to: '/app/operator.js', mode: 0o644 },
    { content: '{"type":"module"}\n', to: '/app/package.json', mode: 0o644 },
    { directory: true, to: '/tmp', mode: 0o1777 },
  ];
  const hash = createHash('sha256');
  for (const file of files) {
    if ('from' in file) await addFile(hash, file.to, file.from);
    if ('content' in file) hash.update(`${file.to}\0`).update(file.content).update('\0');
  }
  const options = {
    entrypoint: ['/usr/bin/node', ...OPERATOR_NODE_OPTIONS, '/app/operator.js'],
    env: { NODE_ENV: 'production' },
    user: '65532:65532',
    workdir: '/app',
  };
  return await cached('weft-operator', hash, options, async () => files);
}

async function proxyImage(): Promise<BuiltImage> {
  const profile = process.env['WEFT_PROXY_PROFILE'] ?? 'release';
  const options = { entrypoint: ['/weft-proxy'], user: '2102:2102' };
  for (let attempt = 1; ; attempt++) {
    const before = await proxySources(profile);
    try {
      return await cached('weft-proxy', createHash('sha256').update(before), options, async () => {
        const binary = await buildProxy(profile);
        if ((await proxySources(profile)) !== before) throw new SourcesChanged();
        return [{ from: binary, to: '/weft-proxy', mode: 0o755 }];
      });
    } catch (thrown) {
      if (!(thrown instanceof SourcesChanged) || attempt === ATTEMPTS) throw thrown;
    }
  }
}

/** What was edited while the compiler ran may be in the binary; it must not be kept under the hash of what was there before. */
class SourcesChanged extends Error {
  override readonly message = 'the sources of the proxy changed while it was built: try again';
}

/** Hash of everything that the binary is made from; what is for tests alone is left out. */
async function proxySources(profile: string): Promise<string> {
  const hash = createHash('sha256').update(`${profile}\0${process.env['RUSTFLAGS'] ?? ''}\0`);
  hash.update((await promisify(execFile)('rustc', ['--version'], { cwd: join(root, 'proxy-image') })).stdout);
  await addTree(
    hash,
    join(root, 'proxy-image'),
    new Set(['target', 'fuzz', 'tests', 'examples', 'benches', 'Containerfile']),
  );
  await addTree(hash, join(root, 'proto'), new Set());
  return hash.digest('hex');
}

/** Path of the static binary. cargo itself knows what is out of date, and holds a lock on the target folder. */
export async function buildProxy(profile: string): Promise<string> {
  const target = process.env['CARGO_TARGET_DIR'] ?? join(cacheRoot(), 'target', 'image');
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
  const args = ['cargo', 'build', '--locked', '--profile', profile, '--target', triple, '-p', 'weft-proxy'];
  const flags = [process.env['RUSTFLAGS'], '-C target-feature=+crt-static'].filter(Boolean).join(' ');
  const child = spawn('nice', args, {
    cwd: join(root, 'proxy-image'),
    env: { ...process.env, CARGO_TARGET_DIR: target, RUSTFLAGS: flags },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`cargo build of weft-proxy ended with ${code}: see its output above`);
  // cargo calls the folder of the profile "dev" by another name.
  return join(target, triple, profile === 'dev' ? 'debug' : profile, 'weft-proxy');
}

type Settings = Omit<ImageOptions, 'tag' | 'files'>;

async function cached(
  name: string,
  hash: Hash,
  settings: Settings,
  files: () => Promise<readonly ImageFile[]>,
): Promise<BuiltImage> {
  hash.update(JSON.stringify(settings));
  // The code that writes images is part of what they are.
  await addTree(hash, join(import.meta.dirname, 'image'), new Set(['image.test.ts', 'component-images.ts']));
  const tag = hash.digest('hex').slice(0, 12);
  const repository = `localhost/${name}`;
  const path = join(cacheRoot(), 'images', `${name}-${tag}.tar`);
  await withLock(`${path}.lock`, async () => {
    if (await exists(path)) return;
    await buildImage({ ...settings, tag: `${repository}:${tag}`, files: await files() }, path);
    await prune(dirname(path), name);
  });
  return { repository, tag, path };
}

/** Removes all but the newest images of that name. */
async function prune(folder: string, name: string): Promise<void> {
  const pattern = new RegExp(`^${name}-[0-9a-f]{12}\\.tar$`);
  const paths = (await readdir(folder)).filter(file => pattern.test(file)).map(file => join(folder, file));
  const aged = await Promise.all(paths.map(async path => ({ path, madeMs: (await stat(path)).mtimeMs })));
  for (const { path } of aged.toSorted((a, b) => b.madeMs - a.madeMs).slice(KEPT)) await rm(path, { force: true });
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function addTree(hash: Hash, folder: string, skip: ReadonlySet<string>): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (skip.has(entry.name)) continue;
    if (entry.isDirectory()) await addTree(hash, path, skip);
    else if (entry.isFile()) await addFile(hash, relative(root, path), path);
  }
}

async function addFile(hash: Hash, name: string, path: string): Promise<void> {
  const content = createHash('sha256');
  for await (const chunk of createReadStream(path)) content.update(chunk);
  hash.update(`${name}\0${content.digest('hex')}\0`);
}

if (import.meta.main) {
  const names = ['operator', 'proxy'] as const;
  const wanted = process.argv.slice(2);
  if (wanted.some(name => !names.some(known => known === name))) {
    process.stderr.write(`usage: images.ts [${names.join('] [')}]\n`);
    process.exitCode = 2;
  } else {
    for (const name of names) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      const { repository, tag, path } = await ensureWeftImage(name);
      process.stdout.write(`${repository}:${tag}\t${path}\n`);
    }
  }
}
