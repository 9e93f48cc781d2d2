/** A rule while it is edited: what the form holds, what is sent, what differs. */
import type { Schemas } from '../../api/client';
import type { Block } from './tree';

/** Conditions are told by the description as an object, whatever it holds. */
type Named<T> = Omit<T, 'when'> & { when: Block };
export type Rule = Named<Schemas['RuleOut']>;
export type Form = Named<Schemas['RuleForm']>;

/** A rule of which nothing is said yet. */
export const EMPTY: Form = {
  name: '',
  priority: null,
  enabled: true,
  when: {},
  channels: [],
  mention: null,
  stop: false,
  escalate_after_minutes: null,
  escalate_to: [],
  repeat_minutes: null,
  runbook_url: null,
  runbook: null,
};

/** What one edits of a rule. Its place is changed in the list, so it is none of this. */
export function formOf(rule: Rule | Form): Form {
  return without({ ...EMPTY, ...rule, priority: null }, 'id');
}

/** The body that is sent: what has no value is told as such, and the place stays as it is. */
export function bodyOf(form: Form): Omit<Form, 'priority'> {
  return without({ ...form, runbook: form.runbook || null, runbook_url: form.runbook_url || null }, 'priority');
}

/** An object without one of its members. */
export function without<T extends object, K extends string>(all: T, name: K): Omit<T, K> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => key !== name)) as Omit<T, K>;
}

/** The form as JSON that people edit: without what is at its default, but with what every rule has. */
export function jsonOf(form: Form): string {
  const kept = Object.entries(form).filter(
    ([name, value]) =>
      ['name', 'enabled', 'when', 'channels'].includes(name) ||
      (name !== 'priority' && JSON.stringify(value) !== JSON.stringify(EMPTY[name as keyof Form])),
  );
  return `${compact(Object.fromEntries(kept))}\n`;
}

/** JSON with one question a line. */
function compact(value: unknown, indent = ''): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const one = JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (!value.some((member) => typeof member === 'object' && member !== null)) return one.replaceAll('","', '", "');
    return `[\n${value.map((member) => inner + compact(member, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value);
  if (!entries.length) return '{}';
  if ('field' in value && 'operator' in value)
    return `{ ${entries.map(([key, member]) => `${JSON.stringify(key)}: ${compact(member)}`).join(', ')} }`;
  const lines = entries.map(([key, member]) => `${inner}${JSON.stringify(key)}: ${compact(member, inner)}`);
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

/** The settings in which two forms differ. */
export function differing(a: Form, b: Form): (keyof Form)[] {
  const names = Object.keys(EMPTY) as (keyof Form)[];
  return names.filter((name) => name !== 'priority' && spelled(a[name]) !== spelled(b[name]));
}

export const same = (a: Form, b: Form): boolean => differing(a, b).length === 0;

/** A value for comparing: an empty text is none, and the order in which members of an object stand is no difference. */
function spelled(value: unknown): string {
  return JSON.stringify(value === '' ? null : value, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

/** The ids in a new order: the one at a place moved to another. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const one = list[from];
  if (one === undefined || to < 0 || to >= list.length) return [...list];
  return list.toSpliced(from, 1).toSpliced(to, 0, one);
}
