// Events for the conditions on which a user acts: an object is refused, or an issuer is in trouble, and when that is over. Told after the status that
// says the same is written, so a restart tells nothing again.
import type { Condition, ConditionPlan, EventRecorder, EventText, StatusWriter } from '../kube/index.ts';

const ACTIONS: Readonly<Record<string, string>> = { Accepted: 'Validate', IssuerReady: 'Issue', IssuerLasts: 'Renew' };

/** A mesh whose issuer is on its way is in no trouble: nobody needs to do anything. */
function isTrouble({ type, status, reason }: ConditionPlan): boolean {
  if (type === 'IssuerReady')
    return ['RenewalFailing', 'RotationHeld'].includes(reason) || (status === 'False' && reason !== 'IssuerPending');
  return status === 'False';
}

/** Undefined: nothing that a user would act on has changed. */
export function eventOf(before: Condition | undefined, after: ConditionPlan): EventText | undefined {
  const action = ACTIONS[after.type];
  if (action === undefined) return undefined;
  const wasTrouble = before !== undefined && isTrouble(before);
  const text = { reason: after.reason, action, note: after.message };
  if (isTrouble(after)) {
    return wasTrouble && before.reason === after.reason ? undefined : { type: 'Warning', ...text };
  }
  if (!wasTrouble || after.status !== 'True') return undefined;
  return { type: 'Normal', ...text, note: after.message === '' ? 'The object is accepted.' : after.message };
}

/** The same writer, whose writes are told as events where they matter. */
export function withEvents(writer: StatusWriter, recorder: EventRecorder): StatusWriter {
  return {
    forget: key => writer.forget(key),
    write: async write => {
      const outcome = await writer.write(write);
      if (outcome.kind !== 'written') return outcome;
      for (const plan of write.plan.conditions) {
        const event = eventOf(
          write.current.find(({ type }) => type === plan.type),
          plan,
        );
        if (event !== undefined) recorder.record(write, event);
      }
      return outcome;
    },
  };
}
