// The wire layer as the parts of this folder use it.
import { canonicalJson } from '../kernel/index.ts';
import type { Endpoints, Resource } from '../model/index.ts';
import {
  decodeCertifyRequest,
  decodeClientMessage,
  decodeReport,
  encodeCertifyResponse,
  encodeEndpointsDelta,
  encodeRemove,
  encodeReportAnswer,
  encodeUpsert,
  endpointsDelta,
} from '../wire/index.ts';
import type { Codec } from './frames.ts';
import type { CertifyCodec } from './identity-service.ts';
import type { ReportCodec } from './report-service.ts';

/** A delta that touches more than this share of the endpoints saves too little to be worth its own encoding. */
const MAX_DELTA_SHARE = 0.5;

export const wireCodec: Codec & CertifyCodec & ReportCodec = {
  upsert: encodeUpsert,
  remove: encodeRemove,
  decode: decodeClientMessage,
  delta: (base, resource, nonce) => {
    const [before, after] = [endpointsOf(base), endpointsOf(resource)];
    if (before === undefined || after === undefined) return undefined;
    // A delta says nothing of how the endpoints are balanced.
    if (canonicalJson(before.balancing ?? null) !== canonicalJson(after.balancing ?? null)) return undefined;
    const delta = endpointsDelta(base.version, before, after);
    if (delta.upserted.length + delta.removed.length > after.endpoints.length * MAX_DELTA_SHARE) return undefined;
    return encodeEndpointsDelta({ name: resource.name, version: resource.version, nonce }, delta);
  },
  decodeCertifyRequest,
  encodeCertifyResponse,
  decodeReport,
  encodeReportAnswer,
};

function endpointsOf({ body }: Resource): Endpoints | undefined {
  return body.kind === 'endpoints' ? body.endpoints : undefined;
}
