import { expect, test } from 'vitest';
import { reach, ROLES } from './roles';

test('only owners reach owners, and members reach nobody', () => {
  expect(reach('owner')).toEqual(ROLES);
  expect(reach('admin')).toEqual(['admin', 'member', 'viewer']);
  expect(reach('member')).toEqual([]);
  expect(reach(undefined)).toEqual([]);
});
