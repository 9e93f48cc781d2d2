import { expect, test } from 'vitest';
import { choices, forInput } from './snooze';
import { between } from './selection.svelte';

const until = (now: Date, key: string) => choices(now).find((one) => one.key === key)!.until!;

test('the morning is the next nine o’clock', () => {
  expect(until(new Date(2026, 2, 2, 3, 0), 'morning')).toEqual(new Date(2026, 2, 2, 9, 0));
  expect(until(new Date(2026, 2, 2, 9, 0), 'morning')).toEqual(new Date(2026, 2, 3, 9, 0));
});

test('monday is never today', () => {
  expect(until(new Date(2026, 2, 2, 3, 0), 'monday')).toEqual(new Date(2026, 2, 9, 9, 0));
  expect(until(new Date(2026, 2, 8, 23, 0), 'monday')).toEqual(new Date(2026, 2, 9, 9, 0));
  expect(until(new Date(2026, 2, 7, 12, 0), 'monday')).toEqual(new Date(2026, 2, 9, 9, 0));
});

test('a local time fits its input', () => {
  expect(forInput(new Date(2026, 2, 2, 9, 5))).toBe('2026-03-02T09:05');
});

test('a range holds both ends, whichever comes first', () => {
  expect(between(['a', 'b', 'c', 'd'], 'd', 'b')).toEqual(['b', 'c', 'd']);
  expect(between(['a', 'b'], 'gone', 'b')).toEqual(['b']);
});
