import { describe, expect, it } from 'vitest';
import { ago, both, lasted } from './time';

const NOW = Date.parse('2026-03-01T12:00:00Z');

describe('ago', () => {
  it.each([
    [0, 'now'],
    [-4_000, 'now'],
    [-59_000, '59s ago'],
    [-60_000, '1m ago'],
    [-3_599_000, '59m ago'],
    [-7_200_000, '2h ago'],
    [-6 * 86_400_000, '6d ago'],
    [7_200_000, 'in 2h'],
  ])('%i ms away is %s', (away, words) => expect(ago(NOW + away, NOW)).toBe(words));

  it('is a date beyond a week', () => expect(ago(NOW - 8 * 86_400_000, NOW)).toMatch(/^2[12] Feb, /));
});

describe('both', () => {
  it('says the local time and UTC to the second', () => expect(both(NOW)).toContain('2026-03-01 12:00:00 UTC'));
});

describe('lasted', () => {
  it.each([
    [0, '0 s'],
    [59, '59 s'],
    [60, '1 min'],
    [3_900, '1 h 5 min'],
    [3_605, '1 h'],
    [90_000, '1 d 1 h'],
  ])('%i seconds are %s', (seconds, words) => expect(lasted(seconds)).toBe(words));
});
