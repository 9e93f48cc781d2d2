import { describe, expect, it } from 'vitest';
import { choices, forInput } from './when';

describe('what the snooze menu offers', () => {
  it('ends tomorrow and on Monday at nine', () => {
    const friday = new Date(2026, 2, 6, 22, 30);
    const [, , , tomorrow, monday] = choices(friday);
    expect(tomorrow!.until).toEqual(new Date(2026, 2, 7, 9));
    expect(monday!.until).toEqual(new Date(2026, 2, 9, 9));
  });

  it('offers Monday once: on a Sunday it is tomorrow', () => {
    const sunday = new Date(2026, 2, 8, 12);
    const offered = choices(sunday);
    expect(offered).toHaveLength(4);
    expect(offered[3]!.until).toEqual(new Date(2026, 2, 9, 9));
  });

  it('offers the next Monday on a Monday', () => {
    const monday = new Date(2026, 2, 9, 8);
    expect(choices(monday).at(-1)!.until).toEqual(new Date(2026, 2, 16, 9));
  });
});

describe('a time for an input', () => {
  it('is local, to the minute', () => {
    expect(forInput(new Date(2026, 0, 2, 3, 4, 59))).toBe('2026-01-02T03:04');
  });
});
