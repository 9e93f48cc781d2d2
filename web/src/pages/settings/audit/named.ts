/** The name of what a row is about, as far as it says one. */
export function named(row: { data: Record<string, unknown>; thing: string | null }): string {
  const { data } = row;
  for (const key of ['name', 'email', 'route', 'account', 'after']) {
    const value = data[key];
    if (typeof value === 'string' && value) return value;
  }
  const { from, to } = data;
  if (typeof from === 'string' && typeof to === 'string') return `${from} → ${to}`;
  return '';
}
