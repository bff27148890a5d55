import { EXIT, type ExitCode } from '../../exit-code.ts';
import type { Session } from '../../session.ts';
import { json, paint, table, type Terminal, type Tone } from '../../terminal.ts';
import { type CanaryState, readCanaries } from './state.ts';

export interface ListOptions {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  readonly format: 'table' | 'json';
}

export async function runCanaryList(session: Session, terminal: Terminal, options: ListOptions): Promise<ExitCode> {
  const canaries = await readCanaries(session, options.namespace);
  if (options.format === 'json') terminal.out(json({ canaries: canaries.map(shownOf) }));
  else terminal.out(canaries.length === 0 ? 'there is no Canary\n' : tableOf(terminal, canaries));
  return EXIT.ok;
}

export function shownOf(state: CanaryState): object {
  return { ...state, annotated: undefined };
}

const TONES: Readonly<Record<string, Tone>> = { Succeeded: 'good', Initialized: 'good', Failed: 'bad' };

export function tableOf(terminal: Terminal, canaries: readonly CanaryState[]): string {
  const rows = canaries.map(state => [
    state.namespace,
    state.name,
    state.suspended ? `${state.phase || 'New'}, paused` : state.phase || 'New',
    String(state.weight),
    String(state.failedChecks),
    state.lastTransitionTime,
    state.held,
  ]);
  const headings = ['NAMESPACE', 'NAME', 'STATUS', 'WEIGHT', 'FAILED', 'SINCE', 'WAITS FOR'];
  const lines = table(headings, rows, new Set(['WEIGHT', 'FAILED'])).split('\n');
  // Coloured as a whole, so that columns keep their widths.
  return lines
    .map((line, index) => {
      const tone = TONES[canaries[index - 1]?.phase ?? ''];
      return tone === undefined ? line : paint(terminal, tone, line);
    })
    .join('\n');
}
