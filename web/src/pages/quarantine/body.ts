/** What a body holds, for people: laid out, and its leaves with the paths that a mapping takes. */

export interface Leaf {
  path: string;
  value: string;
}

const LEAVES_MAX = 200;

/** JSON with its lines; anything else as it came. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The headers of a webhook, a line each. */
export function headersOf(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}

/** Every text, number and truth value of a JSON object, with its path; [] where it is none. */
export function leavesOf(text: string): Leaf[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return [];
  }
  const out: Leaf[] = [];
  const walk = (value: unknown, path: string) => {
    if (out.length >= LEAVES_MAX) return;
    if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path}.${key}` : key);
    } else if (path && value !== null) {
      out.push({ path, value: String(value) });
    }
  };
  if (body !== null && typeof body === 'object') walk(body, '');
  return out;
}

/** The paths of the arrays of objects in a body: where several alerts may stand. */
export function arraysOf(text: string): string[] {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return [];
  }
  const out: string[] = [];
  const walk = (value: unknown, path: string) => {
    if (Array.isArray(value)) {
      if (path && value.some((one) => one !== null && typeof one === 'object')) out.push(path);
    } else if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path}.${key}` : key);
    }
  };
  walk(body, '');
  return out;
}

/** A path within the members of an array: `hits.0.name` of `hits` is `name`. */
export function within(path: string, each: string): string {
  if (!each || !path.startsWith(`${each}.`)) return path;
  return path.slice(each.length + 1).replace(/^\d+\./, '');
}
