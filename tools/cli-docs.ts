// docs/cli.md: the help of every command. `node tools/cli-docs.ts` writes it, `--check` says whether it is out of date.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createProgram } from '../src/cli/index.ts';

const path = join(import.meta.dirname, '../docs/cli.md');

export function cliPage(): string {
  const nothing = { out: () => {}, err: () => {}, colour: false };
  const connect = () => {
    throw new Error('the help connects to nothing');
  };
  let text = '';
  const program = createProgram({
    version: '',
    terminal: { ...nothing, out: part => void (text += part) },
    connect,
    finish: () => {},
  });
  const helpOf = (command: typeof program) => {
    text = '';
    // Not helpInformation(), which leaves out what is added after it, such as the exit codes.
    command.outputHelp();
    return `\`\`\`\n${text.trimEnd()}\n\`\`\`\n`;
  };
  const commands = program.commands.map(command => `## weft ${command.name()}\n\n${helpOf(command)}`);
  const head =
    '# Command line\n\nGenerated from the help of `weft`; how it reaches the operator and proves who asks is in adr/0002-cli-authentication.md.\n';
  return [head, helpOf(program), ...commands].join('\n');
}

export async function isUpToDate(): Promise<boolean> {
  return (await readFile(path, 'utf8').catch(() => '')) === cliPage();
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) await writeFile(path, cliPage());
  else if (!(await isUpToDate())) {
    process.stderr.write('docs/cli.md is out of date: node tools/cli-docs.ts\n');
    process.exitCode = 1;
  }
}
