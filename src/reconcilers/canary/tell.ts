// Tells others what happened. Nobody waits for it, and what does not arrive is logged and counted.
import { alertProvider, validateSpec } from '../../api/index.ts';
import { SECRETS } from '../../kube/index.ts';
import type { Logger } from '../../runtime/index.ts';
import { alertAddress, alertPayload, type AlertSubject } from './alert-payload.ts';
import { callHook, secretData } from './answer.ts';
import type { Read } from './gather.ts';
import type { Alert, Decision } from './observed.ts';
import type { Send } from './send.ts';
import { ALERT_PROVIDERS } from './types.ts';

export interface TellPorts {
  readonly send: Send;
  readonly read: Read;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const ALERT_TIMEOUT_MS = 10_000;
/** Messages that may be under way at one time; one more is dropped and logged. */
const MAX_TELLING = 200;

export interface Teller {
  tell(decision: Pick<Decision, 'alerts' | 'notices'>, about: AlertSubject): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export function createTeller(ports: TellPorts): Teller {
  const { send, log, signal } = ports;
  const underWay = new Set<Promise<void>>();

  function go(what: string, about: AlertSubject, act: () => Promise<string | undefined>): void {
    const fields = { what, namespace: about.namespace, name: about.name };
    if (underWay.size >= MAX_TELLING) return log.warn('message dropped: too many are under way', fields);
    const telling = act().then(
      trouble => {
        if (trouble !== undefined) log.warn('message not taken', { ...fields, reason: trouble });
      },
      (err: unknown) => log.warn('message not delivered', { ...fields, err }),
    );
    underWay.add(telling);
    void telling.finally(() => underWay.delete(telling));
  }

  return {
    tell: ({ alerts, notices }, about) => {
      for (const alert of alerts) go(`alert ${alert.target.name}`, about, () => sendAlert(ports, alert, about));
      for (const { hook, payload } of notices)
        go(`webhook ${hook.name}`, about, async () => {
          const answer = await callHook(send, hook, payload, signal);
          return answer.kind === 'no' ? answer.message : undefined;
        });
    },
    idle: async () => void (await Promise.allSettled(underWay)),
  };
}

/** What is wrong, if anything. */
async function sendAlert(
  { send, read, signal }: TellPorts,
  alert: Alert,
  about: AlertSubject,
): Promise<string | undefined> {
  const { namespace, name } = alert.target.provider;
  const what = `AlertProvider ${namespace}/${name}`;
  const object = await read(ALERT_PROVIDERS, namespace, name);
  if (object === undefined) return `${what} does not exist`;
  const spec = validateSpec(alertProvider, object['spec']);
  if (!spec.ok) return `${what}: ${spec.error.map(({ path, message }) => `${path} ${message}`).join('; ')}`;
  const { secretRef, type } = spec.value;
  const secret = secretRef === undefined ? {} : (secretData(await read(SECRETS, namespace, secretRef.name)) ?? {});
  const address = (secret['address'] ?? spec.value.address ?? '').trim();
  if (!/^https?:\/\//.test(address)) return `${what} has no address, neither in spec.address nor in its Secret`;
  const token = secret['token'];
  const { status, text } = await send({
    method: 'POST',
    url: alertAddress(type, address),
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token.trim()}` }),
    },
    body: JSON.stringify(alertPayload(spec.value, alert, about)),
    timeoutMs: ALERT_TIMEOUT_MS,
    insecure: false,
    signal,
  });
  return status < 300 ? undefined : `${status} ${text.trim().slice(0, 200)}`;
}
