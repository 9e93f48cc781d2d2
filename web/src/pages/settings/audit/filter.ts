/** What the audit log is filtered by, as it stands in the address. */
export const RANGES = ['all', '24h', '7d', '30d', 'own'] as const;
export type Range = (typeof RANGES)[number];

export interface Filter {
  actor: string;
  thing: string;
  verb: string;
  range: Range;
  /** Local times of the range `own`, as fields of a form have them (`2026-03-02T09:00`), '' for open. */
  from: string;
  until: string;
}

export const NOTHING: Filter = { actor: '', thing: '', verb: '', range: 'all', from: '', until: '' };

const HOURS: Partial<Record<Range, number>> = { '24h': 24, '7d': 7 * 24, '30d': 30 * 24 };

/** The filter of an address. What it does not know it leaves out. */
export function read(search: string): Filter {
  const said = new URLSearchParams(search);
  const range = RANGES.find((one) => one === said.get('range')) ?? 'all';
  return {
    actor: said.get('actor') ?? '',
    thing: said.get('thing') ?? '',
    verb: said.get('verb') ?? '',
    range,
    from: range === 'own' ? (said.get('from') ?? '') : '',
    until: range === 'own' ? (said.get('until') ?? '') : '',
  };
}

/** The same as an address, '' where nothing is filtered. */
export function written(filter: Filter): string {
  const kept = Object.entries(filter).filter(
    ([name, value]) => value && !(name === 'range' && value === 'all') && !isTimeOfAnother(name, filter.range),
  );
  const search = new URLSearchParams(kept).toString();
  return search ? `?${search}` : '';
}

function isTimeOfAnother(name: string, range: Range): boolean {
  return (name === 'from' || name === 'until') && range !== 'own';
}

export interface Asked {
  actor?: string;
  thing?: string;
  verb?: string[];
  from?: string;
  until?: string;
}

/** What the appliance is asked. */
export function asked(filter: Filter, now: number): Asked {
  const hours = HOURS[filter.range];
  const own = filter.range === 'own';
  return {
    ...(filter.actor && { actor: filter.actor }),
    ...(filter.thing && { thing: filter.thing.trim() }),
    ...(filter.verb && { verb: [filter.verb] }),
    ...(hours && { from: new Date(now - hours * 3_600_000).toISOString() }),
    ...(own && instant(filter.from) && { from: instant(filter.from) }),
    ...(own && instant(filter.until) && { until: instant(filter.until) }),
  };
}

function instant(local: string): string | undefined {
  const ms = local ? new Date(local).getTime() : NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** Where the rows that fit are downloaded from. */
export function exportOf(filter: Filter, form: 'csv' | 'jsonl', now: number): string {
  const { verb, ...rest } = asked(filter, now);
  const search = new URLSearchParams({ format: form, ...rest, ...(verb && { verb: verb.join(',') }) });
  return `/api/audit/export?${search}`;
}
