/** Where the rows of a long list are: rows of one height, with heads of another between them. */
export class Layout {
  /** `heads`: which of the `count` items are heads, ascending; heights in pixels. */
  constructor(
    readonly count: number,
    readonly row: number,
    readonly head = row,
    readonly heads: readonly number[] = [],
  ) {}

  get height(): number {
    return this.top(this.count);
  }

  /** How far an item is below the beginning. */
  top(index: number): number {
    return index * this.row - this.headsBefore(index) * (this.row - this.head);
  }

  /** How tall an item is. */
  tall(index: number): number {
    return this.isHead(index) ? this.head : this.row;
  }

  isHead(index: number): boolean {
    return this.heads[this.headsBefore(index)] === index;
  }

  /** The heads above an item. */
  headsBefore(index: number): number {
    let low = 0;
    let high = this.heads.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.heads[middle]! < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The item that is `offset` below the beginning; the first or last one where that is outside. */
  at(offset: number): number {
    if (this.heads.length === 0) return this.#inside(Math.floor(offset / this.row));
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.top(middle + 1) <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#inside(low);
  }

  #inside(index: number): number {
    return Math.min(Math.max(index, 0), Math.max(this.count - 1, 0));
  }
}

/** Which item a slot shows: as the window over the items moves, only the slots at its ends show another one. */
export function shownBy(slot: number, from: number, slots: number): number {
  return from + ((((slot - from) % slots) + slots) % slots);
}
