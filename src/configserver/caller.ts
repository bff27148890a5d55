// Proves who calls: the token by TokenReview, then the pod's place in this mesh. What the client says about itself is never asked.
import { AppError, type ObjectKey, type Result, err, ok, podKey } from '../kernel/index.ts';
import type { ConfigSource, PodAuthenticator, PodIdentity, Who } from '../model/index.ts';

const AUTHENTICATE_MS = 10_000;

export interface Caller {
  readonly identity: PodIdentity;
  readonly who: Who;
}

export interface CallerOptions {
  readonly authenticator: PodAuthenticator;
  readonly source: Pick<ConfigSource, 'view' | 'onPublish'>;
  /** How long a pod that the token proves may be unknown to us: the watch can be behind the kubelet. */
  readonly podWaitMs: number;
}

export interface CallerClaim {
  readonly token: string;
  /** The mesh whose certificate the client asked for. */
  readonly mesh: string;
  readonly signal: AbortSignal;
}

/** Errors: `unauthenticated` (token), `permission-denied` (pod unknown or of another mesh), `unavailable` (try again). */
export async function proveCaller(claim: CallerClaim, options: CallerOptions): Promise<Result<Caller, AppError>> {
  const { authenticator, source, podWaitMs } = options;
  if (claim.token === '')
    return err(new AppError('unauthenticated', 'no token: send "authorization: Bearer <service account token>"'));
  const signal = AbortSignal.any([claim.signal, AbortSignal.timeout(AUTHENTICATE_MS)]);
  const identity = await authenticator
    .authenticate(claim.token, signal)
    .catch((reason: unknown) => err(AppError.from(reason, 'unavailable')));
  if (!identity.ok) return identity;
  const { namespace, pod, uid } = identity.value;
  // The API server's answer about the token may be a minute old: a pod of the same name that has come since is not its pod.
  const who = await awaitView(
    { key: podKey(namespace, pod), uid },
    source,
    AbortSignal.any([claim.signal, AbortSignal.timeout(podWaitMs)]),
  );
  if (who === undefined) {
    return err(
      new AppError(
        'permission-denied',
        `pod ${namespace}/${pod} is unknown, or carries no proxy of a mesh; check its label weft.dev/proxy`,
      ),
    );
  }
  if (who.view.mesh !== claim.mesh) {
    return err(
      new AppError(
        'permission-denied',
        `pod ${namespace}/${pod} belongs to mesh ${who.view.mesh}, not to ${claim.mesh}; recreate it`,
      ),
    );
  }
  return ok({ identity: identity.value, who });
}

export function bearerToken(header: string | undefined): string {
  return /^bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1] ?? '';
}

function awaitView(
  { key, uid }: { readonly key: ObjectKey; readonly uid: string },
  source: CallerOptions['source'],
  signal: AbortSignal,
): Promise<Who | undefined> {
  const view = (): Who | undefined => {
    const who = source.view(key);
    return who?.podUid === uid ? who : undefined;
  };
  const known = view();
  if (known !== undefined || signal.aborted) return Promise.resolve(known);
  return new Promise(resolve => {
    const settle = (who: Who | undefined): void => {
      unsubscribe();
      signal.removeEventListener('abort', onAbort);
      resolve(who);
    };
    const onAbort = (): void => settle(undefined);
    const unsubscribe = source.onPublish(() => {
      const who = view();
      if (who !== undefined) settle(who);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
