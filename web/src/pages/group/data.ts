/** What the page reads and does. Every key begins with ['group', id]: the live stream makes them all read anew. */
import { api, take, type Schemas } from '../../api/client';
import { queries } from '../../api/queries';

export type Group = Schemas['GroupDetail'];
export type Part = 'tags' | 'related' | 'history' | 'why' | 'escalation' | 'shares';

const at = (id: string) => ({ params: { path: { id } } });

export const group = (id: string) => ({
  queryKey: ['group', id, 'detail'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}', at(id))),
});

export const timeline = (id: string) => ({
  queryKey: ['group', id, 'timeline'],
  queryFn: ({ pageParam }: { pageParam: string | null }) =>
    take(
      api.GET('/api/alert-groups/{id}/timeline', {
        params: { path: { id }, query: { order: 'newest', fold: true, limit: 50, cursor: pageParam ?? undefined } },
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last: Schemas['Timeline']) => last.next,
});

export const events = (id: string) => ({
  queryKey: ['group', id, 'events'],
  queryFn: ({ pageParam }: { pageParam: string | null }) =>
    take(
      api.GET('/api/alert-groups/{id}/events', {
        params: { path: { id }, query: { limit: 50, cursor: pageParam ?? undefined } },
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (last: Schemas['EventPage']) => last.next,
});

export const payload = (id: string) => ({
  queryKey: ['event', id, 'payload'],
  queryFn: () => take<ArrayBuffer>(api.GET('/api/events/{id}/payload', { ...at(id), parseAs: 'arrayBuffer' }) as never),
  staleTime: Infinity,
});

export const occurrences = (id: string, range: '24h' | '7d' | '30d') => ({
  queryKey: ['group', id, 'occurrences', range],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/occurrences', { params: { path: { id }, query: { range } } })),
});

export const tags = (id: string) => ({
  queryKey: ['group', id, 'tags'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/tags', at(id))),
});
export const related = (id: string) => ({
  queryKey: ['group', id, 'related'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/related', at(id))),
});
export const history = (id: string) => ({
  queryKey: ['group', id, 'history'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/history', at(id))),
});
export const why = (id: string) => ({
  queryKey: ['group', id, 'why'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/why', at(id))),
});
export const escalation = (id: string) => ({
  queryKey: ['group', id, 'escalation'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/escalation', at(id))),
});
export const shares = (id: string) => ({
  queryKey: ['group', id, 'shares'],
  queryFn: () => take(api.GET('/api/alert-groups/{id}/shares', at(id))),
});

export const people = () => ({
  queryKey: ['people', 'names'],
  queryFn: () => take(api.GET('/api/people', { params: { query: { limit: 100 } } })),
});

export type Verb = 'ack' | 'unsnooze' | 'reopen';

/** Does one of the verbs that need no more words; the group as it is then. */
export async function act(id: string, verb: Verb): Promise<Group> {
  const calls = {
    ack: () => api.POST('/api/alert-groups/{id}/ack', { ...at(id), body: { note: null } }),
    unsnooze: () => api.POST('/api/alert-groups/{id}/unsnooze', at(id)),
    reopen: () => api.POST('/api/alert-groups/{id}/reopen', at(id)),
  };
  return became(id, await take<Group>(calls[verb]()));
}

export async function snooze(id: string, how: { minutes?: number; until?: string }): Promise<Group> {
  const body = { minutes: how.minutes ?? null, until: how.until ?? null };
  return became(id, await take(api.POST('/api/alert-groups/{id}/snooze', { ...at(id), body })));
}

export async function resolve(id: string, note: string): Promise<Group> {
  const body = { note: note.trim() ? note : null };
  return became(id, await take(api.POST('/api/alert-groups/{id}/resolve', { ...at(id), body })));
}

export async function assign(id: string, person: string | null): Promise<Group> {
  const assignee = person === null ? null : { kind: 'user', id: person, name: '' };
  return became(id, await take(api.POST('/api/alert-groups/{id}/assign', { ...at(id), body: { assignee } })));
}

/** The answer of an action is the newest there is: it is shown at once. */
function became(id: string, now: Group): Group {
  queries.setQueryData(['group', id, 'detail'], now);
  void queries.invalidateQueries({ queryKey: ['group', id] });
  void queries.invalidateQueries({ queryKey: ['groups'] });
  return now;
}
