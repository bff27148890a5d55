/** What the exit code tells a script. */
export const EXIT = {
  /** Done; for `check`: nothing is broken, though there may be warnings. */
  ok: 0,
  /** `check` found something broken, or what was asked for does not exist. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The cluster or the operator cannot be reached, or does not let the caller in. */
  unreachable: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An expected failure. The message says what happened, the remedy what to do. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly remedy: string;

  constructor(exitCode: ExitCode, message: string, remedy: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}
