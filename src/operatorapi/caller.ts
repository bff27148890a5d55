import type { Context } from 'hono';
import { AppError, type Result } from '../kernel/index.ts';
import { certificateUser, type PeerSocket } from './client-certificate.ts';
import type { Authenticator, User } from './ports.ts';

/** What the HTTP server hands over with each request. */
export interface Bindings {
  readonly incoming: { readonly socket: Partial<PeerSocket> & { readonly remoteAddress?: string | undefined } };
}

/** Who asks, by bearer token or client certificate. */
export async function callerOf(
  context: Context<{ Bindings: Bindings }>,
  ports: { readonly authenticator: Authenticator },
  signal: AbortSignal,
): Promise<Result<User, AppError>> {
  const [scheme, token] = (context.req.header('authorization') ?? '').split(' ');
  if (scheme?.toLowerCase() === 'bearer' && token !== undefined && token !== '')
    return await ports.authenticator.user(token, signal);
  const { socket } = context.env.incoming;
  const user = socket.getPeerCertificate === undefined ? undefined : certificateUser(socket as PeerSocket);
  return (
    user ?? {
      ok: false,
      error: new AppError(
        'unauthenticated',
        'say who you are: send a bearer token, or use a client certificate of the cluster',
      ),
    }
  );
}
