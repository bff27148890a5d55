import type { CheckAnswer } from '../../contract/index.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { askAll, type Session } from '../session.ts';
import { json, table, type Terminal } from '../terminal.ts';

export interface VersionOptions {
  readonly client: string;
  /** Ask nobody. */
  readonly clientOnly: boolean;
  readonly format: 'table' | 'json';
}

export async function runVersion(
  session: Session,
  terminal: Terminal,
  { client, clientOnly, format }: VersionOptions,
): Promise<ExitCode> {
  const answers = clientOnly ? [] : await askAll<CheckAnswer>(session, '/v1/check');
  const operators = answers.map(({ replica, version }) => ({ replica, version }));
  if (format === 'json') terminal.out(json(clientOnly ? { client } : { client, operators }));
  else
    terminal.out(
      table(['PROGRAM', 'VERSION'], [['weft', client], ...operators.map(({ replica, version }) => [replica, version])]),
    );
  return EXIT.ok;
}
