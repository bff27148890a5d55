import { CliError, EXIT, type ExitCode } from '../../exit-code.ts';
import type { JsonPatch, Session } from '../../session.ts';
import type { Terminal } from '../../terminal.ts';
import { canaryPath, type CanaryState, isRunning, readCanary } from './state.ts';

export type CanaryStep = 'promote' | 'abort' | 'pause' | 'resume';

/** Writes down what a person decided, on the Canary: the controller acts on it, whichever replica leads. */
export async function runCanaryStep(
  session: Session,
  terminal: Terminal,
  { step, namespace, name }: { readonly step: CanaryStep; readonly namespace: string; readonly name: string },
): Promise<ExitCode> {
  const state = await readCanary(session, namespace, name);
  const { patch, said } = step === 'pause' || step === 'resume' ? suspension(step, state) : decision(step, state);
  await session.cluster.patch(canaryPath(namespace, name), patch);
  terminal.out(`${namespace}/${name} ${said}; see where it stands: weft canary watch ${name} -n ${namespace}\n`);
  return EXIT.ok;
}

interface Step {
  readonly patch: readonly JsonPatch[];
  readonly said: string;
}

function suspension(step: 'pause' | 'resume', { suspended }: CanaryState): Step {
  const wanted = step === 'pause';
  const said = wanted ? 'is paused: its share stays as it is' : 'goes on';
  if (suspended !== wanted) return { patch: [{ op: 'add', path: '/spec/suspend', value: wanted }], said };
  throw new CliError(EXIT.failed, `it is ${wanted ? 'paused already' : 'not paused'}`, 'list them: weft canary list');
}

/** The revision is written along, so that what was meant for one run is never taken for the next. */
function decision(step: 'promote' | 'abort', state: CanaryState): Step {
  const { namespace, name, phase, revision, annotated } = state;
  if (!isRunning(state))
    throw new CliError(
      EXIT.failed,
      `no run of ${namespace}/${name} is under way (${phase || 'New'})`,
      'a run begins when its Deployment changes; list them: weft canary list',
    );
  const annotation = { op: 'add', path: `/metadata/annotations/weft.dev~1canary-${step}`, value: revision } as const;
  // JSON Patch adds nothing to a map that is not there; one that has come since must not be replaced.
  const map = [
    { op: 'test', path: '/metadata/annotations', value: null },
    { op: 'add', path: '/metadata/annotations', value: {} },
  ] as const;
  const said = step === 'promote' ? 'is promoted without further looks' : 'is rolled back';
  return { patch: annotated ? [annotation] : [...map, annotation], said };
}
