import { describe, expect, it } from 'vitest';
import { beside, isShown, question, reasons, sentence, shown, sortOf, visible, type Moment } from './words';

const at = (time: string) => time.slice(11, 16);

function moment(verb: string, more: Partial<Moment> = {}): Moment {
  return {
    id: '0dv8m2k4c0001',
    at: '2026-03-02T09:00:00.000Z',
    kind: 'journal',
    verb,
    actor: { kind: 'system', id: 'signalcraft', name: 'SignalCraft' },
    channels: [],
    delivery: null,
    data: {},
    ...more,
  };
}
const sam = { kind: 'user', id: '1', name: 'Sam' };

describe('a moment in words', () => {
  it('says who did what', () => {
    expect(sentence(moment('acknowledged', { actor: sam }), at)).toBe('Sam acknowledged');
    expect(sentence(moment('assigned', { actor: sam, data: { from: '', to: 'Kim' } }), at)).toBe(
      'Sam assigned it to Kim',
    );
    expect(sentence(moment('assigned', { actor: sam, data: { from: 'Kim', to: '' } }), at)).toBe(
      'Sam took it from Kim',
    );
    expect(sentence(moment('snoozed', { actor: sam, data: { until: '2026-03-02T10:30:00.000Z' } }), at)).toBe(
      'Sam snoozed it until 10:30',
    );
  });

  it('tells a person who opened it again from an event that did', () => {
    expect(sentence(moment('reopened', { actor: sam }), at)).toBe('Sam opened it again');
    expect(sentence(moment('reopened', { data: { resolved_by: 'Kim' } }), at)).toBe(
      'Came back after Kim had resolved it',
    );
  });

  it('names what it does not know instead of hiding it', () => {
    expect(sentence(moment('grew_wings'), at)).toBe('grew wings');
    const source = { kind: 'source', id: 'sentry', name: 'Kim' };
    expect(sentence(moment('activity', { actor: source, data: { action: 'archived' } }), at)).toBe(
      'Kim at the source: archived',
    );
    expect(sentence(moment('activity', { actor: source, data: { action: 'comment.created' } }), at)).toBe(
      'Kim at the source: comment created',
    );
  });

  it('shows notes beside, and comments by themselves', () => {
    expect(beside(moment('resolved', { data: { note: 'rolled back' } }))).toBe('rolled back');
    expect(beside(moment('commented', { data: { text: 'hello' } }))).toBe('');
  });

  it('leaves out what a delivery tells better, and edits unless they failed', () => {
    expect(isShown(moment('told'), false)).toBe(false);
    expect(isShown(moment('acknowledged'), false)).toBe(true);
    const edit = (state: string) =>
      moment('update', { kind: 'delivery', delivery: { state } as unknown as Moment['delivery'] });
    expect(isShown(edit('sent'), false)).toBe(false);
    expect(isShown(edit('sent'), true)).toBe(true);
    expect(isShown(edit('failed'), false)).toBe(true);
    expect(sortOf(edit('failed'))).toBe('bad');
  });
});

describe('what is shown of a timeline', () => {
  const run = (id: string, events: number, at: string, until: string) =>
    moment('events', { id, at, kind: 'events', data: { events, until } });

  it('joins runs of events that nothing shown keeps apart', () => {
    const shown = visible(
      [
        moment('acknowledged'),
        run('c', 4, '10:05', '10:09'),
        moment('told'),
        run('b', 3, '10:00', '10:04'),
        moment('commented'),
        run('a', 1, '09:00', '09:00'),
      ],
      false,
    );
    expect(shown.map((one) => [one.verb, one.id])).toEqual([
      ['acknowledged', '0dv8m2k4c0001'],
      ['events', 'b'],
      ['commented', '0dv8m2k4c0001'],
      ['events', 'a'],
    ]);
    expect(shown[1]!.data).toMatchObject({ events: 7, until: '10:09' });
    expect(shown[1]!.at).toBe('10:00');
  });

  it('says of no message that a default route led there but of a first one', () => {
    const sent = (verb: string, data = {}) => reasons(moment(verb, { kind: 'delivery', data }));
    expect(sent('first')).toEqual(['by the default route']);
    expect(sent('resolved')).toEqual([]);
    expect(sent('first', { stands_in: true })).toEqual(['stands in for a channel that cannot deliver']);
    expect(sent('repeat', { rule: 'a', reason: 'why' })).toEqual(['why', 'by rule “a”']);
  });
});

describe('a question of a rule', () => {
  it('reads as a sentence', () => {
    const asked = { path: 'all[0]', field: 'severity', operator: 'gte', expected: 'high', actual: null, result: false };
    expect(question(asked)).toBe('severity is at least “high”');
    expect(question({ ...asked, operator: 'in', expected: ['a', 5] })).toBe('severity is one of “a”, 5');
    expect(shown(null)).toBe('nothing');
  });
});
