/** Conditions in words: what a rule asks, as a sentence. */
import { lasted, texts } from '../../texts/rules';
import { texts as shell } from '../../texts/shell';
import { read, TAG, type Group, type Node, type Value } from './tree';

const LONGEST = 4;

/** `severity is at least High and (project contains pay or tag team is payments)`. */
export function wordsOf(when: unknown): string {
  const root = read(when);
  return root.members.length ? inside(root) : texts.words.always;
}

function inside(group: Group): string {
  const joined = group.mode === 'all' ? texts.words.and : texts.words.or;
  return group.members.map((one) => said(one, group)).join(joined);
}

function said(node: Node, around: Group): string {
  if (node.kind === 'leaf') return question(node.field, node.operator, node.value);
  if (!node.members.length) return texts.words.always.toLowerCase();
  const words = inside(node);
  return node.members.length === 1 || around.members.length === 1 ? words : `(${words})`;
}

export function question(field: string, operator: string, value: Value | null): string {
  const name = fieldName(field);
  if (operator === 'exists') return `${name} ${value === false ? texts.words.unknown : texts.words.known}`;
  return `${name} ${texts.operators[operator] ?? operator} ${valueText(field, value)}`;
}

export function fieldName(field: string): string {
  return field.startsWith(TAG) ? texts.tagNamed(field.slice(TAG.length)) : (texts.fields[field] ?? field);
}

/** A value as people read it: severities and states by their words, long lists cut. */
export function valueText(field: string, value: unknown): string {
  if (Array.isArray(value)) {
    if (!value.length) return texts.words.nothing;
    const first = value.slice(0, LONGEST).map((one) => valueText(field, one));
    const rest = value.length - first.length;
    return [...first, ...(rest ? [texts.words.more(rest)] : [])].join(', ');
  }
  if (value === null || value === undefined || value === '') return texts.words.nothing;
  const word = String(value).toLowerCase();
  if (field === 'severity') return shell.severity[word as keyof typeof shell.severity] ?? String(value);
  if (field === 'status') return shell.status[word as keyof typeof shell.status] ?? String(value);
  return typeof value === 'string' && /\s|^$/.test(value) ? `“${value}”` : String(value);
}

/** What a rule does besides telling its channels: `then, after 15 minutes unanswered, leads · again every hour`. */
export function afterwards(rule: {
  escalate_after_minutes: number | null;
  escalate_to: string[];
  repeat_minutes: number | null;
}): string[] {
  const found: string[] = [];
  if (rule.escalate_after_minutes !== null && rule.escalate_to.length)
    found.push(texts.list.escalates(rule.escalate_after_minutes, rule.escalate_to.join(', ')));
  if (rule.repeat_minutes !== null) found.push(texts.list.repeats(rule.repeat_minutes));
  return found;
}

export { lasted };
