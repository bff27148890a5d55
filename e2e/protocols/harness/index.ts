/**
 * Pairs of the real proxy binary on loopback, fed from static files, and real programs on both sides of them. Owns addresses, certificates and processes;
 * no Kubernetes, no redirects. May import: the operator's identity and wire code, tools/.
 */
export { address, freePort } from './address.ts';
export { makeAuthority } from './certificates.ts';
export { type Database, type Postgres, startMysql, startPostgres, startRedis } from './databases.ts';
export { growth } from './memory.ts';
export { Noise } from './noise.ts';
export { type Pair, type PairOptions, startInbound, startPair } from './pair.ts';
export { listening, Program } from './program.ts';
export { startTestapp, type Testapp } from './testapp.ts';
export { Protocol } from '../../../src/gen/weft/config/v1/config_pb.ts';
