/* eslint-disable svelte/prefer-svelte-reactivity -- what is shown is replaced as a whole, which costs less with 5,000 rows */
/** Which rows are chosen, and which one the keyboard is at. */
export class Selection {
  chosen = $state.raw<ReadonlySet<string>>(new Set());
  /** The row that keys act on, by id; '' for none. */
  at = $state('');
  #anchor = '';

  get size(): number {
    return this.chosen.size;
  }

  has(id: string): boolean {
    return this.chosen.has(id);
  }

  /** Chooses one, or no longer; `range`: everything from the one before to it. `ids`: the list in its order. */
  toggle(id: string, ids: () => string[], range = false): void {
    const next = new Set(this.chosen);
    if (range && this.#anchor) {
      for (const one of between(ids(), this.#anchor, id)) next.add(one);
    } else {
      if (!next.delete(id)) next.add(id);
      this.#anchor = id;
    }
    this.at = id;
    this.chosen = next;
  }

  all(ids: string[]): void {
    this.chosen = new Set(ids);
  }

  clear(): void {
    this.chosen = new Set();
    this.#anchor = '';
  }

  /** What a verb is for: the chosen ones, else the row that the keyboard is at. */
  targets(): string[] {
    if (this.chosen.size > 0) return [...this.chosen];
    return this.at ? [this.at] : [];
  }
}

/** Both ends and what lies between them, whichever comes first. */
export function between(ids: string[], one: string, other: string): string[] {
  const [a, b] = [ids.indexOf(one), ids.indexOf(other)];
  if (a < 0 || b < 0) return [other];
  return ids.slice(Math.min(a, b), Math.max(a, b) + 1);
}
