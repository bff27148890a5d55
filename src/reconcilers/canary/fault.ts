/** What is wrong with one field. */
export interface Fault {
  /** e.g. `spec.analysis.stepWeights[1]` */
  readonly path: string;
  /** What was found, and what to do. */
  readonly message: string;
}
