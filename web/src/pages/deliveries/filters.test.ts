import { describe, expect, it } from 'vitest';
import { acts, address, narrowed, query, read } from './filters';

describe('the filters of the ledger', () => {
  it('are read from an address and written back', () => {
    const search = 'state=failed&channel=%23down&q=is_archived&within=24h';
    expect(address(read(new URLSearchParams(search)))).toBe(`/deliveries?${search}`);
    expect(address(read(new URLSearchParams('nonsense=1&within=3y')))).toBe('/deliveries');
  });
  it('ask the API for absolute times', () => {
    const now = Date.parse('2026-03-02T09:00:00Z');
    expect(query(read(new URLSearchParams('within=24h&state=owed,sending')), now)).toEqual({
      state: ['owed,sending'],
      since: '2026-03-01T09:00:00.000Z',
    });
    expect(query(read(new URLSearchParams('since=2026-03-02T08:00:00Z')), now)).toEqual({
      since: '2026-03-02T08:00:00Z',
    });
  });
  it('tell the state from what narrows', () => {
    expect(narrowed(read(new URLSearchParams('state=failed')))).toBe(false);
    expect(narrowed(read(new URLSearchParams('q=x')))).toBe(true);
  });
});

it('what is sent or on its way cannot be tried or dropped', () => {
  expect(acts('sent')).toEqual({ retry: false, drop: false });
  expect(acts('sending')).toEqual({ retry: false, drop: false });
  expect(acts('failed')).toEqual({ retry: true, drop: true });
  expect(acts('dropped')).toEqual({ retry: true, drop: false });
});
