import type { TLSSocket } from 'node:tls';
import { AppError, err, ok, type Result } from '../kernel/index.ts';
import type { User } from './ports.ts';

/** As much of a TLS connection as says who is at its other end. */
export type PeerSocket = Pick<TLSSocket, 'authorized' | 'authorizationError' | 'getPeerCertificate'>;

/**
 * Who a client certificate names, read as the API server reads it: the common name is the user, organizations are the groups. Undefined when the
 * client showed none. `authorized` was decided in the handshake, against the cluster's authority and for the purpose of a TLS client.
 */
export function certificateUser(socket: PeerSocket): Result<User, AppError> | undefined {
  const { subject } = socket.getPeerCertificate();
  if (subject === undefined) return undefined;
  if (!socket.authorized) {
    const reason = String(socket.authorizationError ?? 'unknown authority');
    return err(new AppError('unauthenticated', `the client certificate is not one of this cluster (${reason})`));
  }
  const [name] = values(subject.CN);
  if (name === undefined) return err(new AppError('unauthenticated', 'the client certificate has no common name'));
  return ok({ name, uid: '', groups: [...values(subject.O), 'system:authenticated'], extra: {} });
}

// Node gives a text for one attribute and a list for several.
function values(attribute: string | readonly string[] | undefined): readonly string[] {
  if (attribute === undefined || attribute === '') return [];
  return typeof attribute === 'string' ? [attribute] : attribute;
}
