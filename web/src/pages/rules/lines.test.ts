import { describe, expect, it } from 'vitest';
import { JsonFault, lineOf, lineSaid, placesOf, readJson } from './lines';

const TOML = `# a rule
[[rules]]
name = "a } tricky # one"
when = { all = [
  { field = "environment", operator = "in", value = ["prod",
     "production"] },
  { any = [
    { field = 'x', operator = "gte", value = "high" }, # why
    { field = "tags.team", operator = "equals", value = 5 },
  ] },
] }
channels = ["oncall"]
runbook = """
[[rules]]
channels = 5
"""
escalate_after_minutes = 15
`;
const JSON_TEXT = `{
  "name": "a",
  "when": {
    "all": [
      {"field": "environment", "operator": "equals",
       "value": "prod"},
      {"any": [
        {"field": "severity"}
      ]}
    ]
  },
  "channels": []
}`;

describe('the line of a path', () => {
  it('is found in TOML', () => {
    const places = placesOf(TOML);
    const lines = Object.fromEntries(
      [
        'rules[0]',
        'rules[0].name',
        'rules[0].when',
        'rules[0].when.all[0].value',
        'rules[0].when.all[0].value[1]',
        'rules[0].when.all[1].any[0].value',
        'rules[0].when.all[1].any[1].field',
        'rules[0].channels[0]',
        'rules[0].escalate_after_minutes',
      ].map((path) => [path, lineOf(places, path)]),
    );
    expect(lines).toEqual({
      'rules[0]': 2,
      'rules[0].name': 3,
      'rules[0].when': 4,
      'rules[0].when.all[0].value': 5,
      'rules[0].when.all[0].value[1]': 6,
      'rules[0].when.all[1].any[0].value': 8,
      'rules[0].when.all[1].any[1].field': 9,
      'rules[0].channels[0]': 12,
      'rules[0].escalate_after_minutes': 17,
    });
  });

  it('is found in JSON', () => {
    const places = placesOf(JSON_TEXT);
    expect(lineOf(places, 'when.all[0].value')).toBe(6);
    expect(lineOf(places, 'when.all[1].any[0].field')).toBe(8);
    expect(lineOf(places, 'channels')).toBe(12);
  });

  it('is that of what stands around it where it does not stand there itself', () => {
    const places = placesOf(JSON_TEXT);
    expect(lineOf(places, 'when.all[1].any[0].value')).toBe(8);
    expect(lineOf(places, 'mention')).toBeNull();
    expect(lineOf(placesOf('name = "x"'), 'rules')).toBeNull();
  });

  it('counts tables of one name, and comes to an end with any text', () => {
    const places = placesOf('[[rules]]\nname = "a"\n[[rules]]\nname = "b"');
    expect(lineOf(places, 'rules[1].name')).toBe(4);
    for (const odd of [
      '',
      '[',
      '[[',
      '{',
      '{"a"',
      '"',
      "'''",
      '= 5',
      'a = [',
      '{{{{',
      '[[a]]\n}\n]',
      '{"a": [,,]}',
      '\\',
    ]) {
      expect(placesOf(odd)).toBeInstanceOf(Map);
    }
  });

  it('is read from the words of a fault', () => {
    expect(lineSaid('this is not TOML: Invalid value (at line 3, column 5)', '')).toBe(3);
    expect(lineSaid('Unclosed array (at end of document)', 'a\nb')).toBe(2);
    expect(lineSaid('something', 'a')).toBeNull();
  });
});

describe('JSON that is none', () => {
  it.each([
    ['{\n  "a": 1,\n  b: 2\n}', 3],
    ['{\n  "a": [1, 2\n  "b": 2\n}', 3],
    ['{\n  "a": 1\n', 2],
    ['{\n  "a": "x\n}', 2],
    ['{\n  "a": 1,\n}', 3],
    ['{"a": 1}\n{"b": 2}', 2],
    ['', 1],
    ['{\n "a": tru,\n "b": 1}', 2],
  ])('breaks on its line: %j', (text, line) => {
    try {
      readJson(text);
      expect.unreachable();
    } catch (problem) {
      expect(problem).toBeInstanceOf(JsonFault);
      expect((problem as JsonFault).line).toBe(line);
    }
  });

  it('is none only where it is none', () => {
    expect(readJson(JSON_TEXT)).toMatchObject({ name: 'a', channels: [] });
  });
});
