import { CommanderError } from 'commander';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import { createProgram, type ProgramOptions } from './program.ts';
import { paint } from './terminal.ts';

/** Runs one command line (without the program's name) and returns its exit code; expected failures are printed, bugs are thrown. */
export async function runCommandLine(
  args: readonly string[],
  options: Omit<ProgramOptions, 'finish'>,
): Promise<ExitCode> {
  const { terminal } = options;
  let code: ExitCode = EXIT.ok;
  const program = createProgram({ ...options, finish: found => void (code = found) });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (thrown) {
    // commander has printed help or what is wrong with the command line already.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(thrown instanceof CliError)) throw thrown;
    terminal.err(`${paint(terminal, 'bad', 'error:')} ${thrown.message}\n`);
    terminal.err(`${thrown.remedy}\n`);
    return thrown.exitCode;
  }
}
