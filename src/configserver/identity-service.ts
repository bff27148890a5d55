// IdentityService.Certify over grpc-js: the token proves the caller, the CSR proves the key.
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { AppError, type Result, err, ok } from '../kernel/index.ts';
import type { Certify, IssuedLeaf } from '../identity/index.ts';
import type { Logger } from '../runtime/index.ts';
import { type CallerOptions, proveCaller } from './caller.ts';
import { grpcStatus } from './grpc-status.ts';
import type { HubMetrics } from './metrics.ts';

/** Signing takes the only thread for a millisecond each; more at once would only make all of them late. */
const MAX_CONCURRENT = 256;

export interface CertifyCodec {
  /** The error says what is wrong with the bytes. */
  decodeCertifyRequest(bytes: Uint8Array): Result<{ readonly csr: Uint8Array; readonly token: string }, string>;
  encodeCertifyResponse(leaf: IssuedLeaf): Uint8Array;
}

export interface IdentityServiceOptions extends CallerOptions {
  readonly certify: Certify;
  readonly codec: CertifyCodec;
  readonly metrics: HubMetrics;
  readonly log: Logger;
}

export type CertifyHandler = (
  mesh: string,
  call: ServerUnaryCall<Buffer, Buffer>,
  answer: sendUnaryData<Buffer>,
) => void;

export function createCertifyHandler(options: IdentityServiceOptions): CertifyHandler {
  let running = 0;

  async function certify(mesh: string, bytes: Buffer, signal: AbortSignal): Promise<Result<Buffer, AppError>> {
    const request = options.codec.decodeCertifyRequest(bytes);
    if (!request.ok) return err(new AppError('invalid-argument', request.error));
    const caller = await proveCaller({ token: request.value.token, mesh, signal }, options);
    if (!caller.ok) return caller;
    const { namespace, serviceAccount, pod } = caller.value.identity;
    const leaf = await options.certify({ mesh, account: { namespace, serviceAccount }, csr: request.value.csr });
    if (!leaf.ok) return leaf;
    options.log.debug('certificate issued', { namespace, name: pod, generation: leaf.value.generation });
    return ok(Buffer.from(options.codec.encodeCertifyResponse(leaf.value)));
  }

  return (mesh, call, answer) => {
    const gone = new AbortController();
    call.once('cancelled', () => gone.abort(new AppError('cancelled', 'the call was cancelled')));
    if (running >= MAX_CONCURRENT) {
      options.metrics.certified('unavailable');
      return answer(grpcStatus(new AppError('unavailable', 'too many requests for certificates at once; try again')));
    }
    running += 1;
    certify(mesh, call.request, gone.signal)
      .catch((reason: unknown) => err(AppError.from(reason)))
      .then(
        result => {
          running -= 1;
          options.metrics.certified(result.ok ? 'ok' : result.error.code);
          if (result.ok) return answer(null, result.value);
          options.log.info('certificate refused', { peer: call.getPeer(), err: result.error });
          answer(grpcStatus(result.error));
        },
        () => undefined,
      );
  };
}
