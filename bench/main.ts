// `make bench`: the proxy pair with every default feature on against an HAProxy pair, an nginx pair and a bare byte relay, all behind the same
// redirects, interleaved in one run. Writes bench/out/summary.json and every single reading to bench/out/raw.json.
//
// Everything runs in a network namespace of its own and on one CPU, so that requests per second are the inverse of total CPU per request.
import { spawn, spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildProxy } from '../tools/images.ts';

if (process.getuid?.() !== 0) throw new Error('the bench makes a network namespace: run it as root');
const root = resolve(import.meta.dirname, '..');
const target = join(homedir(), '.cache', 'weft', 'target', 'relay');
console.log('building the proxy and the relay');
const proxy = await buildProxy('release');
const built = spawnSync('cargo', ['build', '--release', '--locked', '--quiet'], {
  cwd: join(root, 'bench', 'relay'),
  env: { ...process.env, CARGO_TARGET_DIR: target },
  stdio: 'inherit',
});
if (built.status !== 0) throw new Error('the relay does not build: see above');
const child = spawn(
  'unshare',
  ['--net', process.execPath, join(import.meta.dirname, 'run.ts'), ...process.argv.slice(2)],
  {
    stdio: 'inherit',
    env: { ...process.env, WEFT_BENCH_PROXY: proxy, WEFT_BENCH_RELAY: join(target, 'release', 'relay') },
  },
);
process.exitCode = await new Promise<number>(done => child.once('close', code => done(code ?? 1)));
