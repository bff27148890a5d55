import { Command, InvalidArgumentError, Option } from 'commander';
import { runCheck } from './commands/check.ts';
import { runProxyConfig } from './commands/proxy-config.ts';
import { runStat } from './commands/stat.ts';
import { runStatus } from './commands/status.ts';
import { runVersion } from './commands/version.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import type { Connect, Session } from './session.ts';
import type { Terminal } from './terminal.ts';

export interface ProgramOptions {
  readonly version: string;
  readonly terminal: Terminal;
  readonly connect: Connect;
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
export function createProgram({ version, terminal, connect, finish }: ProgramOptions): Command {
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
    .command('version')
    .description('versions of this program and of the operator')
    .option('--client', 'of this program only', false)
    .action(({ client: clientOnly }: { client: boolean }) =>
      run((session, { output }) => runVersion(session, terminal, { client: version, clientOnly, format: output })),
    );

  return program;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0 || value > 60)
    throw new InvalidArgumentError('Give 0 to 60 seconds.');
  return value;
}
