// What is said of the issuer of a mesh: the condition IssuerReady. Pure.
import type { ConditionPlan } from '../../kube/index.ts';
import type { HeldGeneration, MeshInput } from './gather.ts';
import type { RotationPlan } from './rotation.ts';

/** Names in one message; a longer list says how many more there are. */
const NAMED = 3;

type Trouble = Pick<ConditionPlan, 'reason' | 'message'>;

/** First reason wins. */
function trouble(input: MeshInput): Trouble | undefined {
  const { spec, certManager, certificate, anchor, source, mesh, generations } = input;
  if (spec.identity.mode === 'SelfManaged') {
    const broken = generations.find(({ usable }) => !usable);
    return generations.some(({ usable }) => usable)
      ? undefined
      : {
          reason: 'IssuerPending',
          message:
            broken === undefined
              ? 'The issuer is being made.'
              : `Secret ${broken.name} cannot be used: ${broken.trouble}`,
        };
  }
  const { kind, name } = spec.identity.issuerRef;
  if (certManager === 'absent') {
    return {
      reason: 'CertManagerMissing',
      message:
        'cert-manager is not installed, so nobody signs the issuer; install it, or set spec.identity.mode to SelfManaged.',
    };
  }
  if (anchor.trouble !== '') {
    const message = `Secret weft-anchor-${mesh} cannot be used: ${anchor.trouble}. Delete it and cert-manager makes another.`;
    return { reason: 'InvalidIssuer', message };
  }
  if (source.kind === 'refused')
    return { reason: 'InvalidIssuer', message: `Secret weft-issuer-${mesh} cannot be used: ${source.why}` };
  if (source.kind === 'absent') {
    // The first of the chain that hangs is the one to look at.
    const onAnchor = spec.identity.anchor === 'Managed' && anchor.fingerprint === '';
    const object = onAnchor ? `weft-anchor-${mesh}` : `weft-issuer-${mesh}`;
    const said = (onAnchor ? anchor.certificate : certificate)?.trouble ?? '';
    const why = said === '' ? 'cert-manager has not answered yet.' : said;
    const message = `Certificate ${object} is not issued: ${why} Check ${kind} ${name}.`;
    return { reason: 'IssuerPending', message };
  }
  return undefined;
}

/** What is said of a mesh's issuer. Pure. */
export function issuerCondition(
  input: MeshInput,
  active: HeldGeneration | undefined,
  rotation: RotationPlan,
): ConditionPlan {
  const type = 'IssuerReady';
  const problem = trouble(input);
  if (active === undefined) {
    const waiting = { reason: 'IssuerPending', message: 'The issuer is being copied to a Secret of its own.' };
    return { type, status: 'False', ...(problem ?? waiting) };
  }
  const until = new Date(active.notAfterMs).toISOString();
  if (problem !== undefined) {
    return {
      type,
      status: 'True',
      reason: 'RenewalFailing',
      message: `Signing with ${active.name} until ${until}. ${problem.message}`,
    };
  }
  if (rotation.next !== undefined) return { type, status: 'True', ...trusting(input, active, rotation) };
  if (rotation.phase === 'Renewing' && rotation.waitingFor.length > 0) {
    const message = `Signing with ${active.name} until ${until}; ${counted(rotation)} of ${input.proxies.length} proxies have no certificate of it yet: ${names(rotation)}.`;
    return { type, status: 'True', reason: 'Renewing', message };
  }
  return { type, status: 'True', reason: 'Issued', message: `Signing with ${active.name} until ${until}.` };
}

function trusting(input: MeshInput, active: HeldGeneration, rotation: RotationPlan): Trouble {
  const { next, waitingFor, overdue } = rotation;
  const plan = `Signing with ${active.name}; ${next} follows when every proxy trusts its root`;
  if (waitingFor.length === 0) return { reason: 'Rotating', message: `${plan}.` };
  const missing = `${counted(rotation)} of ${input.proxies.length} do not yet: ${names(rotation)}`;
  if (!overdue) return { reason: 'Rotating', message: `${plan}; ${missing}.` };
  const remedy = `To go on without them: weft certs go-on --mesh ${input.mesh}; to go back: weft certs abort --mesh ${input.mesh}.`;
  return { reason: 'RotationHeld', message: `${plan}; ${missing}. ${remedy}` };
}

const counted = ({ waitingFor }: RotationPlan): string => String(waitingFor.length);

function names({ waitingFor }: RotationPlan): string {
  const shown = waitingFor.slice(0, NAMED).join(', ');
  return waitingFor.length > NAMED ? `${shown} and ${waitingFor.length - NAMED} more` : shown;
}
