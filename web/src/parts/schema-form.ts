/** The draft behind a form that is drawn from a kind's fields, and the config that is made of it. */
import type { Schemas } from '../api/client';

export type FormField = Schemas['FormField'];
export type Pair = [key: string, value: string];
/** Of one field: a text (a number's too, a list's lines), yes or no, the pairs of a map. */
export type DraftValue = string | boolean | Pair[];
export interface Draft {
  values: Record<string, DraftValue>;
  /** Secrets that are to be taken away. */
  removed: string[];
}

type Config = Record<string, unknown>;

/** What a form shows of a config; without one, of a new thing. Secrets are never shown. */
export function draftOf(fields: FormField[], config: Config = {}): Draft {
  const values: Record<string, DraftValue> = {};
  for (const field of fields) values[field.name] = shown(field, config[field.name] ?? field.default);
  return { values, removed: [] };
}

function shown(field: FormField, value: unknown): DraftValue {
  switch (field.type) {
    case 'secret':
      return '';
    case 'toggle':
      if (field.default === null) return value === true ? 'yes' : value === false ? 'no' : '';
      return value === true;
    case 'list':
      return Array.isArray(value) ? value.join('\n') : '';
    case 'map':
      return Object.entries((value ?? {}) as Record<string, unknown>).map(([key, held]): Pair => [key, String(held)]);
    default:
      return value === null || value === undefined ? '' : String(value);
  }
}

/** The config to send. What was left empty and is needed is left out: the appliance says that it misses it. */
export function configOf(fields: FormField[], draft: Draft): Config {
  const out: Config = {};
  for (const field of fields) {
    const value = written(field, draft.values[field.name], draft.removed.includes(field.name));
    if (value !== undefined) out[field.name] = value;
  }
  return out;
}

function written(field: FormField, value: DraftValue | undefined, removed: boolean): unknown {
  switch (field.type) {
    case 'secret':
      return removed ? '' : typeof value === 'string' && value.trim() ? value.trim() : undefined;
    case 'toggle':
      if (field.default === null) return value === 'yes' ? true : value === 'no' ? false : null;
      return value === true;
    case 'number': {
      const text = String(value ?? '').trim();
      if (text === '') return field.required ? undefined : field.default;
      const number = Number(text);
      // What is no number is sent as it stands, so that the appliance can say so at its field.
      return Number.isNaN(number) ? text : number;
    }
    case 'list':
      return String(value ?? '')
        .split(/[\n,]/)
        .map((one) => one.trim())
        .filter(Boolean);
    case 'map':
      return Object.fromEntries(
        (value as Pair[]).filter(([key]) => key.trim()).map(([key, held]) => [key.trim(), held]),
      );
    default: {
      const text = String(value ?? '').trim();
      return text === '' && field.required ? undefined : text;
    }
  }
}

/** The help of a field: what it marks as code stands in quotes, since a form shows plain text. */
export function helpOf(field: FormField): string {
  return field.help.replace(/`([^`]+)`/g, '“$1”');
}

interface Fault {
  errors: { path: string; message: string }[];
}

/** What the appliance said of one field and of what lies in it; '' where it said nothing. */
export function wrongWith(fault: Fault | null, prefix: string, name: string): string {
  const path = prefix + name;
  return (fault?.errors ?? [])
    .filter((one) => one.path === path || one.path.startsWith(`${path}.`) || one.path.startsWith(`${path}[`))
    .map((one) =>
      one.path === path ? one.message : `${one.path.slice(path.length).replace(/^\./, '')}: ${one.message}`,
    )
    .join(' · ');
}

/** What the appliance said that belongs to none of the fields on the page. */
export function elsewhere(fault: Fault | null, prefix: string, fields: FormField[], more: string[] = []): string[] {
  if (!fault) return [];
  const known = [...fields.map((field) => prefix + field.name), ...more];
  const isKnown = (path: string) =>
    known.some((one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[`));
  return fault.errors.filter((one) => !isKnown(one.path)).map((one) => `${one.path}: ${one.message}`);
}
