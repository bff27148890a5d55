/**
 * A function of collections that never change, worked out once for the very same collections: what a snapshot shares with the one before is not
 * gone through again. Remembers as long as the collections live.
 */
export function once<A extends object, T>(make: (first: A) => T): (first: A) => T {
  const made = new WeakMap<A, { readonly value: T }>();
  return first => {
    const known = made.get(first);
    if (known !== undefined) return known.value;
    const value = make(first);
    made.set(first, { value });
    return value;
  };
}

export function onceForBoth<A extends object, B extends object, T>(
  make: (first: A, second: B) => T,
): (first: A, second: B) => T {
  const ofFirst = once((first: A) => once((second: B) => make(first, second)));
  return (first, second) => ofFirst(first)(second);
}
