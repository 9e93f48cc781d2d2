import { expect, test } from 'vitest';
import { asked, exportOf, NOTHING, read, written } from './filter';

const now = Date.parse('2026-03-02T09:00:00Z');

test('an address holds the filter, and nothing that filters nothing', () => {
  expect(written(NOTHING)).toBe('');
  const filter = { ...NOTHING, actor: '0dv8m2k4c0001', verb: 'rule.created', range: '7d' as const };
  expect(written(filter)).toBe('?actor=0dv8m2k4c0001&verb=rule.created&range=7d');
  expect(read(written(filter))).toEqual(filter);
});

test('times of one’s own count only where they are asked for', () => {
  expect(read('?range=7d&from=2026-03-01T00:00').from).toBe('');
  const own = { ...NOTHING, range: 'own' as const, from: '2026-03-01T00:00' };
  expect(read(written(own))).toEqual(own);
  expect(asked(own, now).from).toBe(new Date('2026-03-01T00:00').toISOString());
  expect(asked({ ...own, from: 'rubbish' }, now)).toEqual({});
  expect(written({ ...own, range: 'all' })).toBe('');
});

test('a range begins so long before now', () => {
  expect(asked({ ...NOTHING, range: '24h' }, now)).toEqual({ from: '2026-03-01T09:00:00.000Z' });
  expect(read('?range=forever').range).toBe('all');
});

test('an export is asked for what the page shows', () => {
  expect(exportOf({ ...NOTHING, verb: 'invited', thing: ' x ' }, 'csv', now)).toBe(
    '/api/audit/export?format=csv&thing=x&verb=invited',
  );
});
