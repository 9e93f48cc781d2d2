/** The filters of the ledger, as the address holds them. */

export interface Filters {
  state: string;
  kind: string;
  channel: string;
  group: string;
  q: string;
  /** A span back from now: `24h`. */
  within: string;
  since: string;
  until: string;
}

export const NAMES = ['state', 'kind', 'channel', 'group', 'q', 'within', 'since', 'until'] as const;
const SPANS: Record<string, number> = { '1h': 3_600_000, '24h': 86_400_000, '7d': 7 * 86_400_000 };

/** Those that an address asks for. */
export function read(search: URLSearchParams): Filters {
  const found = Object.fromEntries(NAMES.map((name) => [name, search.get(name) ?? ''])) as unknown as Filters;
  return { ...found, within: found.within in SPANS ? found.within : '' };
}

/** The address that holds these. */
export function address(filters: Filters): string {
  const search = new URLSearchParams();
  for (const name of NAMES) if (filters[name]) search.set(name, filters[name]);
  const text = search.toString();
  return text ? `/deliveries?${text}` : '/deliveries';
}

/** Whether anything but the state is filtered. */
export function narrowed(filters: Filters): boolean {
  return NAMES.some((name) => name !== 'state' && filters[name]);
}

/** What the API is asked. */
export function query(filters: Filters, now: number): Record<string, string | string[]> {
  const asked: Record<string, string | string[]> = {};
  for (const name of ['state', 'kind', 'channel'] as const) if (filters[name]) asked[name] = [filters[name]];
  for (const name of ['group', 'q', 'since', 'until'] as const) if (filters[name]) asked[name] = filters[name];
  const span = SPANS[filters.within];
  if (span) asked.since = new Date(now - span).toISOString();
  return asked;
}

/** What a person may do with one in this state. */
export function acts(state: string): { retry: boolean; drop: boolean } {
  return { retry: ['owed', 'failed', 'dropped'].includes(state), drop: ['owed', 'failed'].includes(state) };
}
