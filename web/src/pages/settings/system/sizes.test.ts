import { expect, it } from 'vitest';
import { offset, size } from './sizes';

it('sizes are read as people read them', () => {
  expect([0, 999, 1000, 4096, 99_960, 123_456_789, 2_500_000_000].map(size)).toEqual([
    '0 B', '999 B', '1.0 kB', '4.1 kB', '100.0 kB', '123 MB', '2.5 GB',
  ]); // prettier-ignore
});

it('offsets have a sign and two digits', () => {
  expect([0, 120, -210].map(offset)).toEqual(['+00:00', '+02:00', '−03:30']);
});
