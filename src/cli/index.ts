/**
 * L4: the command `weft`. Asks the operator API (src/contract says what it answers) through the API server and prints; has no logic of its own about
 * policy. `main.ts` alone touches the process; everything below takes what it needs as arguments.
 * Imports kernel, kube and contract. Exit codes are in exit-code.ts, how callers prove themselves in docs/adr/0002-cli-authentication.md.
 */
export { createProgram, type ProgramOptions } from './program.ts';
export type { Connect, Session, SessionOptions } from './session.ts';
