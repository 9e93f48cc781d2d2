import { describe, expect, it } from 'vitest';
import { bodyOf, differing, EMPTY, formOf, jsonOf, moved, same, type Rule } from './draft';
import { placesOf } from './lines';

const RULE: Rule = {
  ...EMPTY,
  id: '0dv8m2k4c0001',
  name: 'pay “now”',
  priority: 20,
  when: {
    all: [{ field: 'project', operator: 'in', value: ['a', 'b'] }, { any: [{ field: 'x', operator: 'y', value: 1 }] }],
  },
  channels: ['one', 'two'],
};

describe('the form of a rule', () => {
  it('is the rule without its id and its place', () => {
    const form = formOf(RULE);
    expect(form).toEqual({ ...EMPTY, name: RULE.name, when: RULE.when, channels: RULE.channels });
    expect(bodyOf({ ...form, runbook: '' })).not.toHaveProperty('priority');
    expect(bodyOf({ ...form, runbook: '' }).runbook).toBeNull();
  });

  it('is JSON with one question a line, without what goes without saying', () => {
    const text = jsonOf(formOf(RULE));
    expect(JSON.parse(text)).toEqual({ name: RULE.name, enabled: true, when: RULE.when, channels: RULE.channels });
    expect(placesOf(text).get('when.all[1].any[0].value')).toBe(9);
    expect(text.split('\n')[8]).toContain('{ "field": "x", "operator": "y", "value": 1 }');
    expect(JSON.parse(jsonOf({ ...formOf(RULE), stop: true, repeat_minutes: 5 }))).toMatchObject({
      stop: true,
      repeat_minutes: 5,
    });
  });

  it('differs where it says something else', () => {
    const form = formOf(RULE);
    expect(differing(form, { ...form, stop: true, mention: 'here' })).toEqual(['mention', 'stop']);
    expect(same(form, { ...form, runbook_url: '', priority: 5 })).toBe(true);
    const when = { all: [{ value: ['a', 'b'], operator: 'in', field: 'project' }, ...(RULE.when.all as []).slice(1)] };
    expect(same(form, { ...form, when })).toBe(true);
    expect(same(form, { ...form, channels: ['two', 'one'] })).toBe(false);
  });
});

describe('a new order', () => {
  it('has one of them at another place', () => {
    expect(moved(['a', 'b', 'c'], 2, 0)).toEqual(['c', 'a', 'b']);
    expect(moved(['a', 'b', 'c'], 0, 1)).toEqual(['b', 'a', 'c']);
    expect(moved(['a', 'b'], 0, 5)).toEqual(['a', 'b']);
    expect(moved(['a', 'b'], 7, 0)).toEqual(['a', 'b']);
  });
});
