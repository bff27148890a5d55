import { EXIT, type ExitCode } from '../../exit-code.ts';
import type { Session } from '../../session.ts';
import { paint, type Terminal } from '../../terminal.ts';
import type { Pace } from '../../upgrade/one.ts';
import { type ListOptions, shownOf, tableOf } from './list.ts';
import { type CanaryState, isOver, readCanaries, readCanary } from './state.ts';

export interface WatchOptions extends ListOptions {
  /** Undefined: all of the namespace, until it is interrupted or time is up. */
  readonly name: string | undefined;
  /** Where a name is looked for. */
  readonly home: string;
  /** 0: no end. */
  readonly timeoutSeconds: number;
  readonly pace: Pace;
}

const POLL_MS = 1_000;

/**
 * On a screen a table that is drawn anew, elsewhere a line for each change. With a name it ends when a run of that Canary has ended, and its exit code
 * says how.
 */
export async function runCanaryWatch(session: Session, terminal: Terminal, options: WatchOptions): Promise<ExitCode> {
  const { name, home, namespace, pace, timeoutSeconds } = options;
  const show = terminal.colour && options.format === 'table' ? screen(terminal) : lines(terminal, options.format);
  const endMs = timeoutSeconds === 0 ? Number.POSITIVE_INFINITY : pace.nowMs() + timeoutSeconds * 1_000;
  let ran = false;
  for (;;) {
    const canaries =
      name === undefined
        ? await readCanaries(session, namespace)
        : [await readCanary(session, namespace ?? home, name)];
    show(canaries);
    const [first] = canaries;
    if (name !== undefined && first !== undefined) {
      if (ran && isOver(first)) return first.phase === 'Failed' ? EXIT.failed : EXIT.ok;
      ran ||= !isOver(first);
    }
    if (pace.nowMs() >= endMs) {
      terminal.err(`no end within ${timeoutSeconds} s\n`);
      return name === undefined ? EXIT.ok : EXIT.failed;
    }
    await pace.sleep(POLL_MS);
  }
}

type Show = (canaries: readonly CanaryState[]) => void;

function screen(terminal: Terminal): Show {
  let drawn = 0;
  return canaries => {
    const text = tableOf(terminal, canaries);
    // Up over what was drawn, and clear from there on.
    terminal.out(`${drawn === 0 ? '' : `\u001B[${drawn}A\u001B[J`}${text}`);
    drawn = text.split('\n').length - 1;
  };
}

function lines(terminal: Terminal, format: ListOptions['format']): Show {
  const said = new Map<string, string>();
  return canaries => {
    for (const state of canaries) {
      const text = format === 'json' ? JSON.stringify(shownOf(state)) : lineOf(terminal, state);
      const key = `${state.namespace}/${state.name}`;
      if (said.get(key) === text) continue;
      said.set(key, text);
      terminal.out(`${text}\n`);
    }
  };
}

function lineOf(terminal: Terminal, state: CanaryState): string {
  const { namespace, name, phase, weight, failedChecks, iterations, held, suspended, lastTransitionTime } = state;
  const parts = [
    lastTransitionTime,
    `${namespace}/${name}`,
    phase || 'New',
    `weight ${weight}`,
    ...(iterations > 0 ? [`iterations ${iterations}`] : []),
    ...(failedChecks > 0 ? [`failed ${failedChecks}`] : []),
    ...(suspended ? ['paused'] : []),
    ...(held === '' ? [] : [`waits for ${held}`]),
  ];
  return phase === 'Failed' ? paint(terminal, 'bad', parts.join('  ')) : parts.join('  ');
}
