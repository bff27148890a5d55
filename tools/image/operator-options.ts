/**
 * Options of Node with which the operator runs, in its image and in the bench. A package that it is made with still asks for Node's own punycode; the
 * log is JSON, line by line, and nothing else. Node divides the memory limit of its container by itself, but leaves new objects one megabyte of 512: what
 * one push makes would then outlive it and be collected late.
 */
export const OPERATOR_NODE_OPTIONS: readonly string[] = ['--disable-warning=DEP0040', '--max-semi-space-size=8'];
