/**
 * Where a setting stands in a text of JSON or TOML: the line of `rules[0].when.all[1].value`.
 *
 * One scanner for both: TOML's inline tables and lists are written like JSON's, with `=` for `:` and bare keys. It
 * trusts nobody: of a text that is neither it gives the places that it could read up to there.
 */

/** Line numbers (from 1) by path. */
export type Places = Map<string, number>;

export function placesOf(text: string): Places {
  return new Scanner(text).run();
}

/** The line of a path: its own, or of the nearest thing around it that stands in the text. */
export function lineOf(places: Places, path: string): number | null {
  for (let at = path; at; at = at.replace(/(\.[^.[\]]*|\[[^\]]*\])$/, '')) {
    const line = places.get(at);
    if (line !== undefined) return line;
    if (!/[.[]/.test(at)) break;
  }
  return null;
}

/** The line that words like `(at line 3, column 5)` name. */
export function lineSaid(words: string, text: string): number | null {
  const found = /line (\d+)/.exec(words);
  if (found) return Number(found[1]);
  return /end of document/.test(words) ? text.split('\n').length : null;
}

/** What a text of JSON says. Throws JsonFault with the line of what is wrong. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (problem) {
    throw new JsonFault(problem instanceof Error ? problem.message : String(problem), brokenAt(text));
  }
}

export class JsonFault extends Error {
  constructor(
    message: string,
    readonly line: number,
  ) {
    super(message.replace(/ in JSON at position .*$/, '').replace(/, (?:"|\.\.\.).* is not valid JSON$/s, ''));
  }
}

/** The line on which JSON breaks: browsers say it in different ways, or not at all. */
function brokenAt(text: string): number {
  // The longest beginning that could go on is the one that only lacks its end.
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (couldGoOn(text.slice(0, middle))) low = middle;
    else high = middle - 1;
  }
  return lineAt(text, Math.min(low, text.trimEnd().length - 1));
}

function lineAt(text: string, at: number): number {
  return text.slice(0, Math.max(0, at)).split('\n').length;
}

const TOKEN = /\s*(?:("(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])|true|false|null)|([{}[\],:]))/y;

/** Whether a text is the beginning of some JSON. */
function couldGoOn(text: string): boolean {
  const open: ('object' | 'list')[] = [];
  let expects: 'value' | 'key' | 'colon' | 'end' | 'done' = 'value';
  let first = true;
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!text.slice(at).trim()) return true;
    if (!found)
      return /^\s*(?:"(?:[^"\\\n]|\\.)*\\?|-?[\d.eE+-]*|[a-z]{0,5})$/.test(text.slice(at)) && expects !== 'done';
    at = TOKEN.lastIndex;
    const mark = found[2];
    const inside = open.at(-1);
    if (found[1] !== undefined) {
      if (expects === 'key' && found[1].startsWith('"')) expects = 'colon';
      else if (expects === 'value') expects = open.length ? 'end' : 'done';
      else return false;
      first = false;
    } else if (mark === '{' || mark === '[') {
      if (expects !== 'value') return false;
      open.push(mark === '{' ? 'object' : 'list');
      expects = mark === '{' ? 'key' : 'value';
      first = true;
    } else if (mark === '}' || mark === ']') {
      if (inside !== (mark === '}' ? 'object' : 'list')) return false;
      if (expects !== 'end' && !(first && (expects === 'key' || expects === 'value'))) return false;
      open.pop();
      expects = open.length ? 'end' : 'done';
      first = false;
    } else if (mark === ':') {
      if (expects !== 'colon') return false;
      expects = 'value';
    } else {
      if (expects !== 'end') return false;
      expects = inside === 'object' ? 'key' : 'value';
      first = false;
    }
  }
  return true;
}

class Scanner {
  #at = 0;
  #places: Places = new Map();
  #tables = new Map<string, number>();

  constructor(readonly text: string) {}

  run(): Places {
    this.#space();
    if (this.#peek() === '{' || this.#peek() === '"') this.#value('');
    else this.#toml();
    return this.#places;
  }

  #toml(): void {
    let prefix = '';
    while (this.#at < this.text.length) {
      this.#space();
      const start = this.#at;
      if (this.#peek() === '[') {
        prefix = this.#header();
        this.#note(prefix, start);
      } else if (!this.#pair(prefix)) {
        // What cannot be read: on with the next line.
        const end = this.text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.text.length : end + 1;
      }
      if (this.#at === start) this.#at += 1;
    }
  }

  #header(): string {
    const many = this.text.startsWith('[[', this.#at);
    this.#at += many ? 2 : 1;
    const name = this.#key();
    while (this.#peek() === ']') this.#at += 1;
    if (!many) return name;
    const n = this.#tables.get(name) ?? 0;
    this.#tables.set(name, n + 1);
    return `${name}[${n}]`;
  }

  /** `key = value` or `"key": value`. */
  #pair(prefix: string): boolean {
    const start = this.#at;
    const key = this.#key();
    this.#space();
    if (!key || !'=:'.includes(this.#peek() || ' ')) return false;
    this.#at += 1;
    const path = prefix ? `${prefix}.${key}` : key;
    this.#note(path, start);
    this.#value(path);
    return true;
  }

  #key(): string {
    const parts: string[] = [];
    for (;;) {
      this.#space();
      const quote = this.#peek();
      if (quote === '"' || quote === "'") {
        const start = this.#at + 1;
        this.#string();
        parts.push(this.text.slice(start, this.#at - 1));
      } else {
        const bare = /^[\w-]+/.exec(this.text.slice(this.#at, this.#at + 200))?.[0] ?? '';
        this.#at += bare.length;
        parts.push(bare);
      }
      this.#space();
      if (this.#peek() !== '.') return parts.join('.');
      this.#at += 1;
    }
  }

  #value(path: string): void {
    this.#space();
    const open = this.#peek();
    if (open === '"' || open === "'") this.#string();
    else if (open === '{') this.#members('}', () => this.#pair(path));
    else if (open === '[') {
      let i = 0;
      this.#members(']', () => {
        const one = `${path}[${i++}]`;
        this.#note(one, this.#at);
        const before = this.#at;
        this.#value(one);
        return this.#at > before;
      });
    } else {
      const plain = /^[^\s,\]}#]*/.exec(this.text.slice(this.#at))?.[0] ?? '';
      this.#at += plain.length;
    }
  }

  #members(close: string, one: () => boolean): void {
    this.#at += 1;
    while (this.#at < this.text.length) {
      this.#space();
      if (this.#peek() === close) {
        this.#at += 1;
        return;
      }
      if (this.#peek() === ',') this.#at += 1;
      else if (!one()) return;
    }
  }

  #string(): void {
    const quote = this.#peek();
    const triple = this.text.startsWith(quote.repeat(3), this.#at);
    const end = triple ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.text.length && !this.text.startsWith(end, this.#at)) {
      this.#at += this.text[this.#at] === '\\' && quote === '"' ? 2 : 1;
    }
    this.#at += end.length;
  }

  #space(): void {
    const found = /^(?:\s|#[^\n]*(?:\n|$))*/.exec(this.text.slice(this.#at));
    this.#at += found?.[0].length ?? 0;
  }

  #peek(): string {
    return this.text[this.#at] ?? '';
  }

  #note(path: string, at: number): void {
    if (!this.#places.has(path)) this.#places.set(path, lineAt(this.text, at));
  }
}
