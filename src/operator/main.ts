// L5: the composition root. This folder owns what is made of the parts, the options, the order of start and stop, and the list of permissions; it may
// import everything, and nothing imports it but tests and tools.
//
// This file is the process: reads arguments, environment and clock, starts the operator, ends on SIGTERM or SIGINT. The only file that touches `process`.
import process from 'node:process';
import { KubeConfig } from '@kubernetes/client-node';
import { createPinoLogger, createPromMetrics } from '../telemetry/index.ts';
import { startCanaries } from './canaries.ts';
import { startOperator } from './operator.ts';
import { type Options, parseOptions } from './options.ts';

function loadKubeConfig(path: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (path === '') kubeConfig.loadFromDefault();
  else kubeConfig.loadFromFile(path);
  return kubeConfig;
}

async function run(options: Options): Promise<void> {
  const log = createPinoLogger({ level: options.logLevel, base: { replica: options.podName } });
  // A defect: nothing is known about what it left behind, so end and be started again.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (err: unknown) => {
      log.error('defect: ending', { event, err });
      process.exit(1);
    });
  }
  const stopped = Promise.withResolvers<string>();
  let started = false;
  for (const event of ['SIGTERM', 'SIGINT'] as const) {
    process.once(event, () => {
      // Nobody is served and no lease is held before the start is complete.
      if (!started) process.exit(0);
      stopped.resolve(event);
    });
  }
  const start = options.controllers.has('canary') ? startCanaries : startOperator;
  const operator = await start({
    options,
    kubeConfig: loadKubeConfig(options.kubeconfig),
    clock: { nowMs: () => Date.now() },
    log,
    metrics: createPromMetrics(),
    random: Math.random,
  });
  started = true;
  const unclean = await operator.stop(await stopped.promise);
  process.exit(unclean.length === 0 ? 0 : 1);
}

const parsed = parseOptions(process.argv.slice(2), process.env);
if (!parsed.ok) {
  process.stderr.write(`${parsed.error}\n`);
  process.exit(2);
} else if (parsed.value.kind === 'help') {
  process.stdout.write(parsed.value.text);
} else {
  await run(parsed.value.options);
}
