// `weft canary`: reads and writes Canaries by way of the API server; the operator is not asked.
import type { Command } from 'commander';
import type { ExitCode } from '../../exit-code.ts';
import type { Session } from '../../session.ts';
import type { Terminal } from '../../terminal.ts';
import type { Pace } from '../../upgrade/one.ts';
import { runCanaryList } from './list.ts';
import { type CanaryStep, runCanaryStep } from './step.ts';
import { runCanaryWatch } from './watch.ts';

export interface CanaryCommandsOptions {
  readonly terminal: Terminal;
  readonly pace: Pace;
  readonly seconds: (text: string) => number;
  readonly run: (
    action: (
      session: Session,
      options: { readonly namespace?: string; readonly output: 'table' | 'json' },
    ) => Promise<ExitCode>,
  ) => Promise<void>;
}

const STEPS: readonly { readonly step: CanaryStep; readonly description: string }[] = [
  { step: 'promote', description: 'promote the revision that is being judged, without further looks' },
  { step: 'abort', description: 'roll the revision that is being judged back; it is not tried again' },
  { step: 'pause', description: 'do nothing more about a Canary (spec.suspend); its share stays as it is' },
  { step: 'resume', description: 'go on where it was paused' },
];

export function addCanaryCommands(program: Command, { terminal, pace, run, seconds }: CanaryCommandsOptions): void {
  const canary = program
    .command('canary')
    .description('releases step by step: where they stand, and decisions about them');
  canary
    .command('list')
    .description('Canaries of all namespaces, or of that of -n')
    .action(() =>
      run((session, { namespace, output }) => runCanaryList(session, terminal, { namespace, format: output })),
    );
  canary
    .command('watch')
    .description(
      'follow Canaries; with a name until its run has ended: exit code 0 if it was promoted, 1 if rolled back',
    )
    .argument('[name]', 'name of the Canary')
    .option('--timeout <seconds>', 'end after so long; 0 is never', seconds, 0)
    .action((name: string | undefined, { timeout }: { timeout: number }) =>
      run((session, { namespace, output }) =>
        runCanaryWatch(session, terminal, {
          name,
          namespace,
          home: session.namespace,
          format: output,
          timeoutSeconds: timeout,
          pace,
        }),
      ),
    );
  for (const { step, description } of STEPS) {
    canary
      .command(step)
      .description(description)
      .argument('<name>', 'name of the Canary')
      .action((name: string) =>
        run((session, { namespace }) =>
          runCanaryStep(session, terminal, { step, name, namespace: namespace ?? session.namespace }),
        ),
      );
  }
}
