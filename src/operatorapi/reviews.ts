import { AppError, err, ok, type Result } from '../kernel/index.ts';
import type { ApiClient } from '../kube/index.ts';
import { describeAccess } from './access.ts';
import type { Authenticator, Authorizer, User } from './ports.ts';

interface TokenReview {
  readonly status?: { readonly authenticated?: boolean; readonly error?: string; readonly user?: UserInfo };
}

interface UserInfo {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean; readonly reason?: string; readonly evaluationError?: string };
}

export interface ReviewOptions {
  readonly api: Pick<ApiClient, 'request'>;
  /** Questions to the API server that may be open at once; what goes beyond is refused, so that nobody makes us flood it. */
  readonly maxOpen: number;
}

/** TokenReview and SubjectAccessReview: the API server itself says who calls and what they may do. */
export function createReviews({ api, maxOpen }: ReviewOptions): {
  authenticator: Authenticator;
  authorizer: Authorizer;
} {
  let open = 0;

  async function ask<T>(path: string, body: object, signal: AbortSignal): Promise<Result<T, AppError>> {
    if (open >= maxOpen) return err(new AppError('resource-exhausted', 'too many callers at once; try again'));
    open += 1;
    try {
      return ok((await api.request({ method: 'POST', path, body, signal })) as T);
    } catch (thrown) {
      const cause = AppError.from(thrown, 'unavailable');
      return err(new AppError('unavailable', 'the API server did not answer who calls; try again', { cause }));
    } finally {
      open -= 1;
    }
  }

  return {
    authenticator: {
      user: async (token, signal) => {
        const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
        const review = await ask<TokenReview>('/apis/authentication.k8s.io/v1/tokenreviews', body, signal);
        if (!review.ok) return review;
        const { authenticated, user } = review.value.status ?? {};
        if (authenticated !== true || user?.username === undefined)
          return err(new AppError('unauthenticated', 'the API server does not accept the token'));
        return ok({ name: user.username, uid: user.uid ?? '', groups: user.groups ?? [], extra: user.extra ?? {} });
      },
    },
    authorizer: {
      allow: async (user, access, signal) => {
        const resourceAttributes = { group: 'weft.dev', version: '*', ...access };
        const spec = { user: user.name, uid: user.uid, groups: user.groups, extra: user.extra, resourceAttributes };
        const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
        const review = await ask<SubjectAccessReview>(
          '/apis/authorization.k8s.io/v1/subjectaccessreviews',
          body,
          signal,
        );
        if (!review.ok) return review;
        return review.value.status?.allowed === true
          ? ok(true)
          : err(new AppError('permission-denied', denied(user, describeAccess(access))));
      },
    },
  };
}

function denied(user: User, what: string): string {
  return `${user.name} may not ${what}: bind the ClusterRole weft-view, or view, to that user or one of their groups`;
}
