import { describe, expect, it } from 'vitest';
import { Layout, shownBy } from './window';

describe('Layout', () => {
  it('finds every item where it put it', () => {
    for (const heads of [[], [0], [0, 3, 4, 9]]) {
      const layout = new Layout(12, 56, 36, heads);
      let top = 0;
      for (let index = 0; index < 12; index += 1) {
        expect(layout.top(index)).toBe(top);
        expect(layout.tall(index)).toBe(heads.includes(index) ? 36 : 56);
        expect(layout.at(top)).toBe(index);
        expect(layout.at(top + layout.tall(index) - 1)).toBe(index);
        top += layout.tall(index);
      }
      expect(layout.height).toBe(top);
    }
  });

  it('gives the ends for what lies outside, and an empty list has none', () => {
    const layout = new Layout(5, 56, 36, [0]);
    expect([layout.at(-500), layout.at(99_999)]).toEqual([0, 4]);
    expect(new Layout(0, 56).height).toBe(0);
    expect(new Layout(0, 56).at(100)).toBe(0);
  });
});

describe('shownBy', () => {
  const all = (from: number) => Array.from({ length: 7 }, (_, slot) => shownBy(slot, from, 7));

  it('shows every item of the window once', () => {
    for (let from = 0; from < 30; from += 1) {
      expect(all(from).sort((a, b) => a - b)).toEqual(Array.from({ length: 7 }, (_, n) => from + n));
    }
  });

  it('changes one slot where the window moves by one', () => {
    for (let from = 0; from < 30; from += 1) {
      const [before, after] = [all(from), all(from + 1)];
      expect(before.filter((index, slot) => index !== after[slot])).toHaveLength(1);
    }
  });
});
