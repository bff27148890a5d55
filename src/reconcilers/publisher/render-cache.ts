// Rendered resources, made when first asked for and shared by all askers with the same scope. What depends on nothing that has changed since it was
// rendered is taken over as it is; a render that throws leaves the resource of the former plan in force.
import type { Rendered } from '../../compile/index.ts';
import type { Resource, Who } from '../../model/index.ts';

export interface RenderCache {
  get(who: Who, name: string): Resource | undefined;
  /** Names whose last render threw. */
  readonly failed: ReadonlySet<string>;
  /** For the cache that comes after this one. */
  readonly entries: Map<string, Entry>;
}

export interface Entry {
  readonly rendered: Rendered;
  /** Of the publication that it was last looked at for. */
  readonly generation: number;
}

export interface RenderCacheOptions {
  readonly generation: number;
  /** Answers with `before` itself where nothing that it was made from has changed. */
  readonly render: (who: Who, name: string, before: Rendered | undefined) => Rendered;
  readonly scope: (who: Who, name: string) => string;
  readonly former: RenderCache | undefined;
  /** False: only what is asked for again is taken over. */
  readonly keepAll: boolean;
  readonly onError: (name: string, thrown: unknown) => void;
}

/** Equal to no input of any resource, so that the next plan tries again. */
const FAILED: readonly unknown[] = [Symbol('the render failed')];

export function createRenderCache(options: RenderCacheOptions): RenderCache {
  const { generation, render, scope, former, keepAll, onError } = options;
  // The former's results only: with its render function every plan would be kept alive by the next one.
  const before = former?.entries;
  const entries = keepAll && before !== undefined ? before : new Map<string, Entry>();
  const failed = new Set<string>();
  const make = (who: Who, name: string, last: Rendered | undefined): Rendered => {
    try {
      return render(who, name, last);
    } catch (thrown) {
      onError(name, thrown);
      failed.add(name);
      return { resource: last?.resource, inputs: FAILED };
    }
  };
  return {
    failed,
    entries,
    get: (who, name) => {
      const key = `${name} ${scope(who, name)}`;
      const known = entries.get(key) ?? before?.get(key);
      if (known?.generation === generation) return known.rendered.resource;
      const rendered = make(who, name, known?.rendered);
      entries.set(key, { rendered, generation });
      return rendered.resource;
    },
  };
}
