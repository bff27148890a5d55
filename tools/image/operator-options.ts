/**
 * Options of Node with which the operator runs, in its image and in the bench. A package that it is made with still asks for Node's own punycode; the
 * log is JSON, line by line, and nothing else.
 */
export const OPERATOR_NODE_OPTIONS: readonly string[] = ['--disable-warning=DEP0040'];
