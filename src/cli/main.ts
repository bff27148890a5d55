import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import process from 'node:process';
import manifest from '../../package.json' with { type: 'json' };
import { createSession } from './connect.ts';
import { CliError, EXIT } from './exit-code.ts';
import { runCommandLine } from './run.ts';
import type { SessionOptions } from './session.ts';
import type { Terminal } from './terminal.ts';

// One answer; `stat` waits up to 60 s between its readings.
const TIMEOUT_MS = 90_000;

const terminal: Terminal = {
  out: text => void process.stdout.write(text),
  err: text => void process.stderr.write(text),
  colour: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
};

function loadKubeConfig({ kubeconfig, context }: SessionOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (thrown) {
    throw new CliError(
      EXIT.usage,
      `the kubeconfig cannot be read: ${String(thrown)}`,
      'check --kubeconfig and $KUBECONFIG',
    );
  }
  if (context !== undefined) config.setCurrentContext(context);
  if (config.getCurrentCluster() === null) {
    const known = config.getContexts().map(({ name }) => name);
    throw new CliError(
      EXIT.usage,
      `there is no context "${config.getCurrentContext()}"`,
      `choose one with --context: ${known.join(', ') || 'the kubeconfig has none'}`,
    );
  }
  return config;
}

// A reader that has seen enough (head, less) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  version: manifest.version,
  terminal,
  pace: { nowMs: () => Date.now(), sleep: async ms => await new Promise(resolve => setTimeout(resolve, ms)) },
  connect: options =>
    createSession({
      kubeConfig: loadKubeConfig(options),
      userAgent: `weft/${manifest.version}`,
      timeoutMs: TIMEOUT_MS,
    }),
});
