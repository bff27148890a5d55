// Rendered resources of one plan, made when first asked for and shared by all askers with the same view. A render that throws leaves the resource
// of the former plan in force.
import { type Resource, viewKey, type Who } from '../../model/index.ts';

export interface RenderCache {
  get(who: Who, name: string): Resource | undefined;
  /** What has been rendered, and nothing more: for the cache that comes after this one. */
  readonly rendered: ReadonlyMap<string, Resource | undefined>;
}

export interface RenderCacheOptions {
  readonly render: (who: Who, name: string) => Resource | undefined;
  readonly former: RenderCache | undefined;
  readonly onError: (name: string, thrown: unknown) => void;
}

/** `workload` depends on the pod, everything else on the view alone. */
function cacheKey(who: Who, name: string): string {
  return name === 'workload' ? `${name} ${who.podKey} ${viewKey(who.view)}` : `${name} ${viewKey(who.view)}`;
}

export function createRenderCache({ render, former, onError }: RenderCacheOptions): RenderCache {
  const rendered = new Map<string, Resource | undefined>();
  // The former's results only: with its render function every plan would be kept alive by the next one.
  const fallback = former?.rendered;
  return {
    rendered,
    get: (who, name) => {
      const key = cacheKey(who, name);
      if (rendered.has(key)) return rendered.get(key);
      let resource: Resource | undefined;
      try {
        resource = render(who, name);
      } catch (thrown) {
        onError(name, thrown);
        resource = fallback?.get(key);
      }
      rendered.set(key, resource);
      return resource;
    },
  };
}
