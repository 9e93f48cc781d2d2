/**
 * The search language as the page needs it: words told apart for chips, and what a word can be completed with.
 *
 * The appliance alone decides what a search means (signalcraft/domain/search.py) and says what is wrong with one; both
 * are held together by tests/domain/search_cases.json.
 */
export type Kind = 'is' | 'like' | 'none' | 'me';
export interface Value {
  kind: Kind;
  text: string;
}
export interface Word {
  /** As it stands there, and where. */
  raw: string;
  from: number;
  to: number;
  /** `text` for free text. */
  key: string;
  op: 'in' | '>=' | '<=' | '>' | '<';
  values: Value[];
  tag: string;
  negated: boolean;
}

export const ORDERED = ['severity', 'count', 'users', 'seen', 'age'];
export const KEYS = [
  'severity',
  'status',
  'project',
  'environment',
  'source',
  'assignee',
  'title',
  'message',
  'tag',
  'count',
  'users',
  'seen',
  'age',
];
const ALIASES: Record<string, string> = { env: 'environment', tags: 'tag', sev: 'severity' };
const LIKE = ['project', 'environment', 'source', 'assignee', 'tag'];
const SPECIAL: Record<string, Kind[]> = {
  project: ['none'],
  environment: ['none'],
  tag: ['none'],
  assignee: ['none', 'me'],
};
const LOWER = ['severity', 'status', 'seen', 'age'];
const FILTER = /^(-?)([A-Za-z_]\w*)(?:\.("(?:[^"\\]|\\.)*"|[^\s":!<>=,]+))?(!=|>=|<=|[:=<>])/;
const BARE = /^[^\s,"]+/;
const UNITS: [string, number][] = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];

/** The words of a search; what cannot be read stays one word as it is. */
export function words(search: string): Word[] {
  const found: Word[] = [];
  let at = 0;
  while (at < search.length) {
    if (/\s/.test(search[at]!)) {
      at += 1;
      continue;
    }
    const word = read(search, at);
    found.push(word);
    at = word.to;
  }
  return found;
}

function read(search: string, from: number): Word {
  const rest = search.slice(from);
  const filter = FILTER.exec(rest);
  if (filter) {
    const [head, minus, name, tag, sign] = filter as unknown as [string, string, string, string | undefined, string];
    const key = ALIASES[name.toLowerCase()] ?? name.toLowerCase();
    const values: Value[] = [];
    let at = from + head.length;
    for (;;) {
      const quoted = search[at] === '"';
      const end = quoted ? endOfQuotes(search, at) : at + (BARE.exec(search.slice(at))?.[0].length ?? 0);
      values.push(valueOf(key, search.slice(at, end), quoted));
      at = end;
      if (search[at] !== ',') break;
      at += 1;
    }
    while (at < search.length && !/\s/.test(search[at]!)) at += 1;
    const compared = ['>=', '<=', '<', '>'].includes(sign);
    return {
      raw: search.slice(from, at),
      from,
      to: at,
      key,
      op: compared ? (sign as Word['op']) : 'in',
      values: unique(values),
      tag: tag === undefined ? '' : tag.startsWith('"') ? unquoted(tag) : tag,
      negated: (minus === '-') !== (sign === '!='),
    };
  }
  const negated = /^-\S/.test(rest);
  const start = from + (negated ? 1 : 0);
  let to = search[start] === '"' ? endOfQuotes(search, start) : start;
  while (to < search.length && !/\s/.test(search[to]!)) to += 1;
  const text = search.slice(start, to);
  return {
    raw: search.slice(from, to),
    from,
    to,
    key: 'text',
    op: 'in',
    values: [{ kind: 'is', text: text.startsWith('"') ? unquoted(text) : text }],
    tag: '',
    negated,
  };
}

function valueOf(key: string, raw: string, quoted: boolean): Value {
  if (quoted) return { kind: 'is', text: unquoted(raw) };
  const special = SPECIAL[key]?.find((kind) => kind === raw.toLowerCase());
  if (special) return { kind: special, text: '' };
  if (LIKE.includes(key) && raw.includes('*')) return { kind: 'like', text: raw.replace(/\*+/g, '*') };
  const text = LOWER.includes(key) ? raw.toLowerCase() : raw;
  return { kind: 'is', text: key === 'seen' || key === 'age' ? shortest(text) : text };
}

function shortest(span: string): string {
  const found = /^(\d+)([smhdw])$/.exec(span);
  if (!found) return span;
  const seconds = Number(found[1]) * UNITS.find(([unit]) => unit === found[2])![1];
  const unit = UNITS.find(([, size]) => seconds > 0 && seconds % size === 0);
  return unit ? `${seconds / unit[1]}${unit[0]}` : span;
}

function endOfQuotes(search: string, from: number): number {
  for (let at = from + 1; at < search.length; at += 1) {
    if (search[at] === '\\') at += 1;
    else if (search[at] === '"') return at + 1;
  }
  return search.length;
}

function unquoted(raw: string): string {
  const inside = raw.slice(1, raw.length > 1 && raw.endsWith('"') ? -1 : undefined);
  return inside.replace(/\\(["\\])/g, '$1');
}

function unique(values: Value[]): Value[] {
  return values.filter((one, n) => values.findIndex((v) => v.kind === one.kind && v.text === one.text) === n);
}

/** A value as it stands in a search. */
export function shown(text: string, special: readonly string[] = ['none', 'me']): string {
  const plain = /^[^\s,"*]+$/.test(text) && !special.includes(text.toLowerCase());
  return plain ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The search without one of its words. */
export function without(search: string, word: Word): string {
  return tidy(`${search.slice(0, word.from)} ${search.slice(word.to)}`);
}

/** The search with more behind it. */
export function withMore(search: string, more: string): string {
  return tidy(`${search} ${more}`);
}

/** One space between words, and each word once. */
export function tidy(search: string): string {
  return [...new Set(words(search).map((word) => word.raw))].join(' ');
}

/** The statuses in which a group can be found: what the status words of a search leave. */
export function statuses(search: string, all: readonly string[]): string[] {
  return words(search)
    .filter((word) => word.key === 'status')
    .reduce((left, word) => left.filter((one) => word.values.some((v) => v.text === one) !== word.negated), [...all]);
}

// -- completion ------------------------------------------------------------------------------------------------------

export interface Choices {
  projects: string[];
  environments: string[];
  sources: string[];
  assignees: string[];
  tags: { key: string; values: string[] }[];
}
export interface Option {
  /** What the word becomes. */
  word: string;
  /** What is shown, and what stands small beside it. */
  label: string;
  detail: string;
  /** The word is whole with it. */
  whole: boolean;
}

const MOST = 12;
const SPANS = ['15m', '1h', '4h', '24h', '7d', '30d'];
const FIXED: Record<string, string[]> = {
  severity: ['critical', 'high', 'medium', 'low', 'info'],
  status: ['open', 'acknowledged', 'snoozed', 'resolved'],
  seen: SPANS,
  age: SPANS,
  count: ['10', '100', '1000'],
  users: ['1', '10', '100'],
};

/** What the word that is being typed can become. `details`: what each key is about. */
export function complete(word: string, choices: Choices, details: Record<string, string>): Option[] {
  const filter = FILTER.exec(word);
  if (!filter) return keysFor(word, choices, details);
  const name = filter[2]!.toLowerCase();
  const key = ALIASES[name] ?? name;
  const typed = word.slice(filter[0].length);
  const cut = lastComma(typed);
  const before = word.slice(0, filter[0].length) + typed.slice(0, cut);
  const part = typed.slice(cut).replace(/^"/, '').replace(/"$/, '').toLowerCase();
  const found = valuesOf(key, filter[3] ?? '', choices).filter((one) => one.label.toLowerCase().includes(part));
  found.sort((a, b) => Number(b.label.toLowerCase().startsWith(part)) - Number(a.label.toLowerCase().startsWith(part)));
  return found
    .filter((one) => before + one.word !== word)
    .slice(0, MOST)
    .map((one) => ({ ...one, word: before + one.word, whole: true }));
}

function lastComma(typed: string): number {
  let cut = 0;
  let open = false;
  for (let at = 0; at < typed.length; at += 1) {
    if (typed[at] === '"') open = !open;
    else if (typed[at] === ',' && !open) cut = at + 1;
  }
  return cut;
}

function keysFor(word: string, choices: Choices, details: Record<string, string>): Option[] {
  const minus = word.startsWith('-') ? '-' : '';
  const typed = word.slice(minus.length).toLowerCase();
  if (typed.startsWith('tag.')) {
    return choices.tags
      .map((tag) => `tag.${/^[^\s":!<>=,]+$/.test(tag.key) ? tag.key : shown(tag.key)}`)
      .filter((name) => name.toLowerCase().startsWith(typed))
      .slice(0, MOST)
      .map((name) => ({ word: `${minus}${name}:`, label: `${name}:`, detail: '', whole: false }));
  }
  return KEYS.filter((key) => key.startsWith(typed))
    .map((key) => {
      const sign =
        key === 'tag' ? '.' : key === 'severity' ? '>=' : ORDERED.includes(key) ? (key === 'seen' ? '<' : '>') : ':';
      return { word: `${minus}${key}${sign}`, label: key + sign, detail: details[key] ?? '', whole: false };
    })
    .slice(0, MOST + 1);
}

function valuesOf(key: string, tag: string, choices: Choices): { word: string; label: string; detail: string }[] {
  const plain = (values: string[], special: string[] = []) => [
    ...special.map((word) => ({ word, label: word, detail: '' })),
    ...values.map((text) => ({ word: shown(text, special), label: text, detail: '' })),
  ];
  if (FIXED[key]) return plain(FIXED[key]);
  if (key === 'project') return plain(choices.projects, ['none']);
  if (key === 'environment') return plain(choices.environments, ['none']);
  if (key === 'source') return plain(choices.sources);
  if (key === 'assignee') return plain(choices.assignees, ['me', 'none']);
  if (key === 'tag') {
    const name = tag.startsWith('"') ? unquoted(tag) : tag;
    return plain(choices.tags.find((one) => one.key === name)?.values ?? [], ['none']);
  }
  return [];
}
