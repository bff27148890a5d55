/** Stage 3: what was decided, independent of who asks. */
export { type Plan, whoIs } from './plan.ts';
