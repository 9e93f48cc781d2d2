import { expect, test } from 'vitest';
import { csv } from './csv';

test('an answer becomes lines that any spreadsheet reads, and no formula', () => {
  const table = {
    columns: [{ name: 'a' }, { name: 'b, c' }],
    rows: [
      [1, 'x "y"'],
      [null, '=HYPERLINK("http://example.com")'],
      [true, 'two\nlines'],
    ],
  };
  expect(csv(table)).toBe(
    'a,"b, c"\r\n1,"x ""y"""\r\n,"\'=HYPERLINK(""http://example.com"")"\r\ntrue,"two\nlines"\r\n',
  );
});
