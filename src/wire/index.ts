/**
 * L3: the model on the wire and back. Total: every value of the model can be encoded, and every message is either understood whole or answered with
 * what was not. The only hand-written code that meets `src/gen`. Imports kernel, model, gen.
 */
export { type ClientMessage, decodeClientMessage, encodeClientMessage } from './client-message.ts';
export { decodeServerMessage, type ServerMessage } from './decode.ts';
export { endpointsDelta } from './delta.ts';
export { encodeEndpointsDelta, encodeRemove, encodeUpsert } from './encode.ts';
export { type CertifyRequest, type CertifyResponse, decodeCertifyRequest, encodeCertifyResponse } from './certify.ts';
export {
  createUpdateEncoder,
  decodeFollowerMessage,
  decodeTellerMessage,
  encodeFollowerHello,
  encodeTellerHello,
  type PeerHello,
  type PeerProxy,
  type PeerUpdate,
  type TellerMessage,
  type UpdateEncoder,
} from './peers.ts';
export { decodeReport, decodeReportAnswer, encodeReport, encodeReportAnswer } from './report.ts';
