import { expect, test } from 'vitest';
import { endOf, stateOf } from './state';

const now = Date.parse('2026-03-02T09:00:00Z');

test('a key works until it is revoked or its time is over', () => {
  expect(stateOf({ revoked_at: null, expires_at: null }, now)).toBe('works');
  expect(stateOf({ revoked_at: null, expires_at: '2026-03-02T09:00:01Z' }, now)).toBe('works');
  expect(stateOf({ revoked_at: null, expires_at: '2026-03-02T09:00:00Z' }, now)).toBe('expired');
  expect(stateOf({ revoked_at: '2026-03-01T09:00:00Z', expires_at: '2026-03-01T10:00:00Z' }, now)).toBe('revoked');
});

test('a key ends after so many days, or never', () => {
  expect(endOf('30', now)).toBe('2026-04-01T09:00:00.000Z');
  expect(endOf('never', now)).toBeNull();
});
