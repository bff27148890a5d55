// L5: the composition root. Owns what is made of the parts, the options, the order of start and stop, and the list of permissions. May import
// everything; nothing imports it but tests and tools. `main.ts` is the program.
export { type OperatorOptions, type RunningOperator, startOperator } from './operator.ts';
export { helpText, type Options, optionsMarkdown, parseOptions, type Part, PARTS, TABLE } from './options.ts';
export { rbac } from './rbac.ts';
