import { describe, expect, it } from 'vitest';
import { afterwards, lasted, question, wordsOf } from './words';

const q = (field: string, operator: string, value: unknown) => ({ field, operator, value });

describe('conditions in words', () => {
  it.each([
    [{}, 'Every alert'],
    [{ all: [q('environment', 'equals', 'prod')] }, 'environment is prod'],
    [
      { all: [q('environment', 'in', ['prod', 'production']), q('severity', 'gte', 'high')] },
      'environment is one of prod, production and severity is at least High',
    ],
    [
      {
        all: [q('severity', 'gt', 'low'), { any: [q('project', 'contains', 'pay'), q('tags.team', 'equals', 'a b')] }],
      },
      'severity is above Low and (project contains pay or tag team is “a b”)',
    ],
    [
      { all: [q('count', 'gte', 5)], any: [q('title', 'regex', 'x'), q('title', 'not_contains', 'y')] },
      'count is at least 5 and (title matches the pattern x or title does not contain y)',
    ],
    [{ any: [{ all: [q('status', 'not_equals', 'open')] }] }, 'status is not Open'],
    [
      { all: [q('tags.n', 'exists', false), q('users_affected', 'exists', true)] },
      'tag n is not known and users affected is known',
    ],
    [{ all: [q('project', 'in', ['a', 'b', 'c', 'd', 'e', 'f'])] }, 'project is one of a, b, c, d, 2 more'],
    [{ all: [q('project', 'not_in', [])] }, 'project is none of nothing'],
  ])('%j', (when, words) => {
    expect(wordsOf(when)).toBe(words);
  });

  it('keeps the parentheses away from groups of one', () => {
    expect(wordsOf({ all: [q('count', 'gt', 1), { any: [q('project', 'equals', 'a')] }] })).toBe(
      'count is above 1 and project is a',
    );
  });

  it('shows what it does not know as it is', () => {
    expect(question('colour', 'like', 'x')).toBe('colour like x');
  });
});

describe('what comes later in words', () => {
  it('names channels and times', () => {
    expect(afterwards({ escalate_after_minutes: 15, escalate_to: ['a', 'b'], repeat_minutes: 120 })).toEqual([
      'then, after 15 minutes unanswered, a, b',
      'again every 2 hours',
    ]);
    expect(afterwards({ escalate_after_minutes: null, escalate_to: [], repeat_minutes: 60 })).toEqual([
      'again every hour',
    ]);
    expect(afterwards({ escalate_after_minutes: null, escalate_to: [], repeat_minutes: null })).toEqual([]);
  });

  it('says minutes as hours and days where they are', () => {
    expect([1, 15, 60, 90, 1440, 2880].map(lasted)).toEqual([
      '1 minute',
      '15 minutes',
      '1 hour',
      '90 minutes',
      '1 day',
      '2 days',
    ]);
  });
});
