import { describe, expect, it } from 'vitest';
import { arraysOf, leavesOf, pretty, within } from './body';

const BODY = '{"incident":{"name":"DB","tags":["a",{"x":1}]},"ok":true,"none":null,"hits":[{"t":"one"}]}';

describe('the body of a webhook', () => {
  it('shows its leaves under the paths that a mapping takes', () => {
    expect(leavesOf(BODY)).toEqual([
      { path: 'incident.name', value: 'DB' },
      { path: 'incident.tags.0', value: 'a' },
      { path: 'incident.tags.1.x', value: '1' },
      { path: 'ok', value: 'true' },
      { path: 'hits.0.t', value: 'one' },
    ]);
    expect(leavesOf('no json')).toEqual([]);
    expect(leavesOf('"text"')).toEqual([]);
  });

  it('stops at two hundred leaves', () => {
    expect(leavesOf(JSON.stringify(Array.from({ length: 500 }, (_, n) => n)))).toHaveLength(200);
  });

  it('knows where several alerts may stand, and paths inside of one', () => {
    expect(arraysOf(BODY)).toEqual(['incident.tags', 'hits']);
    expect(within('hits.0.t', 'hits')).toBe('t');
    expect(within('site', 'hits')).toBe('site');
    expect(within('hits.0.t', '')).toBe('hits.0.t');
  });

  it('lays JSON out and leaves the rest alone', () => {
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(pretty('{"a":')).toBe('{"a":');
  });
});
