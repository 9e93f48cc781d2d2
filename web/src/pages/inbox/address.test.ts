import { describe, expect, test } from 'vitest';
import { read, same, sortedBy, USUAL, write, type Asked } from './address';

describe('the address', () => {
  test('without a word asks for everything that is not over', () => {
    expect(read('')).toEqual(USUAL);
    expect(write(USUAL)).toBe('/alert-groups');
  });

  test.each<Asked>([
    { search: '', sort: 'count', order: 'asc', group: 'project', view: '0dv8m2k4c0001' },
    { search: 'severity>=high project:"a b" -x "100% & more"', sort: 'title', order: 'desc', group: '', view: '' },
  ])('holds the whole state: %j', (asked) => {
    const address = write(asked);
    expect(read(address.slice(address.indexOf('?')))).toEqual(asked);
  });

  test('what it cannot mean is left out', () => {
    expect(read('?sort=age&order=up&group=colour&other=1')).toEqual(USUAL);
  });
});

test('a list is the same whatever view it began with', () => {
  expect(same(USUAL, { ...USUAL, view: 'x' })).toBe(true);
  expect(same(USUAL, { ...USUAL, group: 'source' })).toBe(false);
});

test('a column sorts one way, and then the other', () => {
  const once = sortedBy(USUAL, 'count');
  expect([once.sort, once.order]).toEqual(['count', 'desc']);
  expect(sortedBy(once, 'count').order).toBe('asc');
  expect(sortedBy(USUAL, 'title').order).toBe('asc');
  expect(sortedBy(USUAL, 'last_seen').order).toBe('asc');
});
