import { describe, expect, it } from 'vitest';
import { nextOf, signInFor } from './next';

const ORIGIN = 'https://alerts.example.com';

describe('where one goes on after signing in', () => {
  it.each([
    ['/inbox?status=open&q=api%20down', '/inbox?status=open&q=api%20down'],
    ['/groups/0dv8#notes', '/groups/0dv8#notes'],
    ['/', '/'],
  ])('%s is a path of this site', (path, expected) => {
    expect(nextOf(`?next=${encodeURIComponent(path)}`, ORIGIN)).toBe(expected);
  });

  it.each([
    'https://evil.example',
    '//evil.example/inbox',
    '/\\evil.example',
    '/\t/evil.example',
    '/inbox\\..\\evil',
    'javascript:alert(1)',
    'inbox',
    '',
    '/sign-in?next=/inbox',
    '/setup',
    '/join#TOKEN',
  ])('%s is not gone to', (path) => {
    expect(nextOf(`?next=${encodeURIComponent(path)}`, ORIGIN)).toBe('/');
  });

  it('leads back to where one was', () => {
    const at = { pathname: '/inbox', search: '?status=open', hash: '#x' };
    expect(nextOf(new URL(signInFor(at), ORIGIN).search, ORIGIN)).toBe('/inbox?status=open#x');
  });

  it('needs no word for the overview, and remembers no sign-in page', () => {
    expect(signInFor({ pathname: '/', search: '', hash: '' })).toBe('/sign-in');
    expect(signInFor({ pathname: '/join', search: '', hash: '#T' })).toBe('/sign-in');
  });
});
