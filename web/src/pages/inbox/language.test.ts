import { describe, expect, test } from 'vitest';
import cases from '../../../../tests/domain/search_cases.json';
import { complete, statuses, tidy, withMore, without, words, type Choices } from './language';

interface Told {
  key: string;
  op?: string;
  values: [string, string][];
  tag?: string;
  negated?: boolean;
}

describe('words', () => {
  test.each(cases as unknown as [string, Told[]][])('%j is split as the appliance reads it', (search, terms) => {
    expect(words(search).map((one) => [one.key, one.op, one.tag, one.negated, one.values])).toEqual(
      terms.map((one) => [
        one.key,
        one.op ?? 'in',
        one.tag ?? '',
        one.negated ?? false,
        one.values.map(([kind, text]) => ({ kind, text })),
      ]),
    );
  });

  test('every word is where it says', () => {
    const search = ' a  -project:"x y",z "b c" tag."k v":1 half:"open';
    for (const word of words(search)) expect(search.slice(word.from, word.to)).toBe(word.raw);
    expect(words(search).map((word) => word.raw)).toEqual([
      'a',
      '-project:"x y",z',
      '"b c"',
      'tag."k v":1',
      'half:"open',
    ]);
  });
});

describe('chips', () => {
  test('one is taken out, and the others stay as they are', () => {
    const search = 'severity>=high  project:"a b" timeout';
    expect(without(search, words(search)[1]!)).toBe('severity>=high timeout');
  });

  test('one is added once', () => {
    expect(withMore('project:a', 'timeout')).toBe('project:a timeout');
    expect(withMore('project:a timeout', 'project:a')).toBe('project:a timeout');
    expect(tidy('   ')).toBe('');
  });

  test('what statuses a search leaves', () => {
    const all = ['open', 'acknowledged', 'snoozed', 'resolved'];
    expect(statuses('', all)).toEqual(all);
    expect(statuses('-status:resolved x', all)).toEqual(['open', 'acknowledged', 'snoozed']);
    expect(statuses('status:open,resolved -status:resolved', all)).toEqual(['open']);
  });
});

describe('completion', () => {
  const choices: Choices = {
    projects: ['api', 'web app', 'none'],
    environments: ['prod'],
    sources: ['sentry'],
    assignees: ['Kim'],
    tags: [
      { key: 'release', values: ['1.2.3'] },
      { key: 'my key', values: ['x'] },
    ],
  };
  const of = (word: string) => complete(word, choices, {}).map((one) => one.word);

  test.each([
    ['sev', ['severity>=']],
    ['-pro', ['-project:']],
    ['se', ['severity>=', 'seen<']],
    ['severity>=', ['severity>=critical', 'severity>=high', 'severity>=medium', 'severity>=low', 'severity>=info']],
    ['severity>=hi', ['severity>=high']],
    ['project:', ['project:none', 'project:api', 'project:"web app"', 'project:"none"']],
    ['project:w', ['project:"web app"']],
    ['project:api,w', ['project:api,"web app"']],
    ['project:"web', ['project:"web app"']],
    ['assignee:', ['assignee:me', 'assignee:none', 'assignee:Kim']],
    ['env:p', ['env:prod']],
    ['tag.', ['tag.release:', 'tag."my key":']],
    ['tag.release:', ['tag.release:none', 'tag.release:1.2.3']],
    ['tag."my key":', ['tag."my key":none', 'tag."my key":x']],
    ['-status:re', ['-status:resolved']],
    ['status:resolved', []],
    ['nothing', []],
    ['unknown:x', []],
  ])('%s', (word, expected) => expect(of(word)).toEqual(expected));

  test('an empty box offers every key', () => expect(of('')).toHaveLength(13));
});
