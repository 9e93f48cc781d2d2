import { expect, test } from 'vitest';
import { named } from './named';

const people = new Map([['0dv8m2k4c0001', 'Kim']]);
const of = (data: Record<string, unknown>, actor = 'another') => named({ data, actor: { id: actor } }, people);

test('a row names its thing, or the person it is about', () => {
  expect(of({ name: '#oncall', after: { name: 'x' } })).toBe('#oncall');
  expect(of({ email: 'new@example.com', role: 'member' })).toBe('new@example.com');
  expect(of({ person: '0dv8m2k4c0001', from: 'member', to: 'admin' })).toBe('Kim, member → admin');
});

test('who did it to themselves is named once, and who is not known not at all', () => {
  expect(of({ person: '0dv8m2k4c0001' }, '0dv8m2k4c0001')).toBe('');
  expect(of({ person: 'gone' })).toBe('');
  expect(of({})).toBe('');
});
