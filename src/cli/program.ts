import { Command, InvalidArgumentError, Option } from 'commander';
import { addCanaryCommands } from './commands/canary/index.ts';
import { type CertsStep, runCerts, runCertsStep } from './commands/certs.ts';
import { runCheck } from './commands/check.ts';
import { runProxyConfig } from './commands/proxy-config.ts';
import { runStat } from './commands/stat.ts';
import { runStatus } from './commands/status.ts';
import { runUpgradeProxies } from './commands/upgrade-proxies.ts';
import { runVersion } from './commands/version.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import type { Connect, Session } from './session.ts';
import type { Terminal } from './terminal.ts';
import type { Pace } from './upgrade/one.ts';

export interface ProgramOptions {
  readonly version: string;
  readonly terminal: Terminal;
  readonly connect: Connect;
  readonly pace: Pace;
  /** Called with the exit code of the command that ran. */
  readonly finish: (code: ExitCode) => void;
}

interface GlobalOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly output: 'table' | 'json';
}

const EXIT_CODES = `
Exit codes:
  ${EXIT.ok}  done
  ${EXIT.failed}  check found something broken, or what was asked for does not exist
  ${EXIT.usage}  the command line is wrong
  ${EXIT.unreachable}  the cluster or the operator cannot be reached, or does not let you in`;

/** The whole command line. Nothing is connected to before a command runs. */
export function createProgram({ version, terminal, connect, pace, finish }: ProgramOptions): Command {
  const program = new Command('weft')
    .description('Looks into a Weft service mesh.')
    .option('-n, --namespace <name>', 'namespace; default: all, or that of the context')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'kubeconfig; default: $KUBECONFIG, then ~/.kube/config')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .helpCommand(false)
    .configureHelp({ helpWidth: 100, showGlobalOptions: true })
    .configureOutput({ writeOut: text => terminal.out(text), writeErr: text => terminal.err(text) })
    .exitOverride()
    .addHelpText('after', EXIT_CODES);

  /** Runs a command with a session that honours the options before and after its name. */
  function run(action: (session: Session, options: GlobalOptions) => Promise<ExitCode>): Promise<void> {
    const options = program.opts<GlobalOptions>();
    return action(connect({ kubeconfig: options.kubeconfig, context: options.context }), options).then(finish);
  }

  program
    .command('check')
    .description('say whether the mesh is sound, and what to do if it is not')
    .action(() => run((session, { output }) => runCheck(session, terminal, output)));

  program
    .command('status')
    .description('meshes, namespaces and problems; with -n also the proxies of the namespace')
    .action(() => run((session, { namespace, output }) => runStatus(session, terminal, { namespace, format: output })));

  const certs = program
    .command('certs')
    .description('certificates of every mesh: who signs until when, what is trusted, where a rotation stands')
    .action(() => run((session, { output }) => runCerts(session, terminal, output)));
  for (const { step, name, description } of CERTS_STEPS) {
    certs
      .command(name)
      .description(description)
      .option('--mesh <name>', 'name of the MeshConfig', 'default')
      .action(({ mesh }: { mesh: string }) =>
        run(session => runCertsStep(session, terminal, { step, mesh, now: new Date(pace.nowMs()) })),
      );
  }

  program
    .command('stat')
    .description('success rate, requests per second and latency of each workload of a namespace')
    .option(
      '-w, --window <seconds>',
      'time between the two readings, 0 to 60; 0 counts since each proxy started',
      seconds,
      5,
    )
    .action(({ window }: { window: number }) =>
      run((session, { namespace, output }) =>
        runStat(session, terminal, {
          namespace: namespace ?? session.namespace,
          windowSeconds: window,
          format: output,
        }),
      ),
    );

  program
    .command('proxy-config')
    .description('what the proxy of a pod holds, compared with what it should hold')
    .argument('<pod>', 'name of the pod')
    .option('-r, --resource <name>', 'show one resource whole, e.g. workload')
    .action((pod: string, { resource }: { resource?: string }) =>
      run((session, { namespace, output }) =>
        runProxyConfig(session, terminal, { namespace: namespace ?? session.namespace, pod, resource, format: output }),
      ),
    );

  program
    .command('upgrade-proxies')
    .description('replace the proxies of running pods, one by one, without a restart of the applications')
    .option('-A, --all-namespaces', 'in all namespaces, not in that of -n or of the context', false)
    .option('-l, --selector <labels>', 'only pods with these labels, e.g. app=web', '')
    .option('--image <image>', 'image of the proxy; default: the one that the operator injects now')
    .option('--dry-run', 'show what would be done', false)
    .option('--max-unavailable <count>', 'how many pods at a time, never two of one workload', count, 1)
    .option('--timeout <seconds>', 'time for each new proxy to be in force before it is rolled back', timeout, 120)
    .addHelpText('after', UPGRADE)
    .action((given: UpgradeFlags) =>
      run((session, { namespace, output }) =>
        runUpgradeProxies(session, terminal, {
          namespace: given.allNamespaces ? undefined : (namespace ?? session.namespace),
          selector: given.selector,
          image: given.image,
          dryRun: given.dryRun,
          maxUnavailable: given.maxUnavailable,
          timeoutSeconds: given.timeout,
          pace,
          format: output,
        }),
      ),
    );

  addCanaryCommands(program, { terminal, pace, run, seconds: anySeconds });

  program
    .command('version')
    .description('versions of this program and of the operator')
    .option('--client', 'of this program only', false)
    .action(({ client: clientOnly }: { client: boolean }) =>
      run((session, { output }) => runVersion(session, terminal, { client: version, clientOnly, format: output })),
    );

  return program;
}

const CERTS_STEPS: readonly { readonly step: CertsStep; readonly name: string; readonly description: string }[] = [
  { step: 'renew-issuer', name: 'renew-issuer', description: 'have another issuer made, below the same trust anchor' },
  { step: 'renew-anchor', name: 'renew-anchor', description: 'have another trust anchor made, and an issuer below it' },
  { step: 'go-on', name: 'go-on', description: 'let a new trust anchor go on without the proxies that are silent' },
  { step: 'abort', name: 'abort', description: 'take a rotation back: what signed before signs again' },
];

interface UpgradeFlags {
  readonly allNamespaces: boolean;
  readonly selector: string;
  readonly image?: string;
  readonly dryRun: boolean;
  readonly maxUnavailable: number;
  readonly timeout: number;
}

const UPGRADE = `
Each pod's proxy drains first, within the pod's terminationGracePeriodSeconds. A proxy that is not in force in
time gets its old image back, and the command stops with exit code 1; given again it goes on where it stopped.
Have the image on the nodes beforehand if it is slow to pull: a pod has no proxy while it is pulled.`;

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000)
    throw new InvalidArgumentError('Give a whole number from 1 to 1000.');
  return value;
}

function timeout(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 1 || value > 3_600) throw new InvalidArgumentError('Give 1 to 3600 seconds.');
  return value;
}

function anySeconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 86_400)
    throw new InvalidArgumentError('Give 0 to 86400 whole seconds.');
  return value;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0 || value > 60)
    throw new InvalidArgumentError('Give 0 to 60 seconds.');
  return value;
}
