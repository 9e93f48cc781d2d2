/** The name of what a row is about, as far as it says one. `people`: names by id. */
export function named(
  row: { data: Record<string, unknown>; actor: { id: string } | null },
  people: ReadonlyMap<string, string>,
): string {
  const { data } = row;
  const parts: string[] = [];
  for (const key of ['name', 'email', 'route', 'account']) {
    const value = data[key];
    if (typeof value === 'string' && value) {
      parts.push(value);
      break;
    }
  }
  const { from, to, person } = data;
  if (!parts.length && typeof person === 'string' && person !== row.actor?.id) parts.push(people.get(person) ?? '');
  if (typeof from === 'string' && typeof to === 'string') parts.push(`${from} → ${to}`);
  return parts.filter(Boolean).join(', ');
}
