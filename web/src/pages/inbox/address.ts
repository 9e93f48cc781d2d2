/** The whole state of the inbox as its address holds it. */
export const SORTS = ['last_seen', 'first_seen', 'count', 'severity', 'status', 'title'] as const;
export const GROUPINGS = ['project', 'environment', 'source', 'severity', 'assignee'] as const;
export type Sort = (typeof SORTS)[number];
export type Grouping = (typeof GROUPINGS)[number];

export interface Asked {
  search: string;
  sort: Sort;
  order: 'asc' | 'desc';
  group: Grouping | '';
  /** The id of the saved view that it began with, or ''. */
  view: string;
}

/** What an address without a word asks for: everything that is not over. */
export const USUAL: Asked = { search: '-status:resolved', sort: 'last_seen', order: 'desc', group: '', view: '' };

/** What an address asks for; what it cannot mean is left out. */
export function read(query: string): Asked {
  const said = new URLSearchParams(query);
  const among = <T extends string>(name: string, known: readonly T[], usual: T): T =>
    known.find((one) => one === said.get(name)) ?? usual;
  return {
    search: said.get('search') ?? USUAL.search,
    sort: among('sort', SORTS, USUAL.sort),
    order: among('order', ['asc', 'desc'] as const, USUAL.order),
    group: among('group', ['', ...GROUPINGS] as const, USUAL.group),
    view: said.get('view') ?? '',
  };
}

/** The address that asks for it, in its shortest form. */
export function write(asked: Asked): string {
  const said = new URLSearchParams();
  for (const name of ['search', 'sort', 'order', 'group', 'view'] as const) {
    if (asked[name] !== USUAL[name]) said.set(name, asked[name]);
  }
  const query = said.toString();
  return query ? `/alert-groups?${query}` : '/alert-groups';
}

/** Whether two ask for the same list, whatever view they began with. */
export function same(a: Asked, b: Asked): boolean {
  return write({ ...a, view: '' }) === write({ ...b, view: '' });
}

/** Sorted by a column: that one first downwards, the other way round the second time. */
export function sortedBy(asked: Asked, sort: Sort): Asked {
  const first = sort === 'title' || sort === 'status' ? 'asc' : 'desc';
  if (asked.sort !== sort) return { ...asked, sort, order: first };
  return { ...asked, order: asked.order === 'asc' ? 'desc' : 'asc' };
}
