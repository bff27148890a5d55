// Rendered resources of one plan, made when first asked for and shared by all askers with the same view. What depends on nothing that has changed
// since the former plan is taken over as it is; a render that throws leaves the resource of the former plan in force.
import type { Rendered } from '../../compile/index.ts';
import { type Resource, viewKey, type Who } from '../../model/index.ts';

export interface RenderCache {
  get(who: Who, name: string): Resource | undefined;
  /** What has been rendered, and nothing more: for the cache that comes after this one. */
  readonly rendered: ReadonlyMap<string, Rendered>;
}

export interface RenderCacheOptions {
  /** Answers with `before` itself where nothing that it was made from has changed. */
  readonly render: (who: Who, name: string, before: Rendered | undefined) => Rendered;
  readonly former: RenderCache | undefined;
  readonly onError: (name: string, thrown: unknown) => void;
}

/** Equal to no input of any resource, so that the next plan tries again. */
const FAILED: readonly unknown[] = [Symbol('the render failed')];

/** `workload` depends on the pod, everything else on the view alone. */
function cacheKey(who: Who, name: string): string {
  return name === 'workload' ? `${name} ${who.podKey} ${viewKey(who.view)}` : `${name} ${viewKey(who.view)}`;
}

export function createRenderCache({ render, former, onError }: RenderCacheOptions): RenderCache {
  const rendered = new Map<string, Rendered>();
  // The former's results only: with its render function every plan would be kept alive by the next one.
  const before = former?.rendered;
  const make = (key: string, who: Who, name: string): Rendered => {
    const last = before?.get(key);
    try {
      return render(who, name, last);
    } catch (thrown) {
      onError(name, thrown);
      return { resource: last?.resource, inputs: FAILED };
    }
  };
  return {
    rendered,
    get: (who, name) => {
      const key = cacheKey(who, name);
      const known = rendered.get(key);
      if (known !== undefined) return known.resource;
      const made = make(key, who, name);
      rendered.set(key, made);
      return made.resource;
    },
  };
}
