/** The bytes of a webhook, as text that can be read. */

/** The text of bytes that are UTF-8; null for what is none. */
export function textOf(bytes: ArrayBuffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** JSON with a line for each member; null for what is no JSON, and for what would say another number than it does. */
export function pretty(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const drawn = JSON.stringify(value, null, 2);
    // JavaScript's numbers are doubles: a long id would be shown rounded.
    return sameNumbers(text, drawn) ? drawn : null;
  } catch {
    return null;
  }
}

function sameNumbers(before: string, after: string): boolean {
  const long = /(?<=[[:,\s])-?\d{16,}(?=[\],}\s])/g;
  return (before.match(long) ?? []).every((n) => after.includes(n));
}
