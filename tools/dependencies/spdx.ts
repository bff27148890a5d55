// SPDX licence expressions (annex D of the specification), as far as packages write them.

/** Whether one may choose, of what `expression` offers, licences that are all in `allowed`; throws at what is no expression. */
export function isAllowed(expression: string, allowed: ReadonlySet<string>): boolean {
  // An old custom of crates: a slash for "or".
  const tokens = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;

  const next = (): string | undefined => tokens[at];
  const take = (): string => {
    const token = tokens[at++];
    if (token === undefined) throw new Error(`${JSON.stringify(expression)} ends too early for a licence expression`);
    return token;
  };
  const one = (): boolean => {
    const token = take();
    if (token === '(') {
      const inner = either();
      if (take() !== ')') throw new Error(`${JSON.stringify(expression)} lacks a closing parenthesis`);
      return inner;
    }
    if (!/^[A-Za-z0-9.+-]+$/.test(token) || /^(AND|OR|WITH)$/.test(token)) {
      throw new Error(`${JSON.stringify(expression)}: ${token} is no licence`);
    }
    if (next() !== 'WITH') return allowed.has(token);
    take();
    return allowed.has(`${token} WITH ${take()}`);
  };
  const all = (): boolean => {
    let verdict = one();
    while (next() === 'AND') {
      take();
      verdict = one() && verdict;
    }
    return verdict;
  };
  const either = (): boolean => {
    let verdict = all();
    while (next() === 'OR') {
      take();
      verdict = all() || verdict;
    }
    return verdict;
  };

  const verdict = either();
  if (next() !== undefined) throw new Error(`${JSON.stringify(expression)}: nothing may follow but AND or OR`);
  return verdict;
}
