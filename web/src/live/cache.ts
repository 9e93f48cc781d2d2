/** What the live stream changes in the cache, whatever page is open. */
import { me } from '../api/me.svelte';
import { hooks, type Schemas } from '../api/client';
import { queries } from '../api/queries';
import { live } from './live.svelte';

/** Lists that follow from many events are read anew at most this often. */
const SPACE_MS = 1_000;

/** What is read once more where a first look at it was answered with something older. */
const LOOKED_AT: Record<string, string> = { '/api/dashboard/overview': 'overview', '/api/deliveries': 'deliveries' };

/** How many webhooks of an integration wait in quarantine, as the stream said last. */
const waits = new Map<string, number>();
/** What is to be read anew, as `overview` or `group/<id>`. */
let due = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Reads queries anew, soon, once for all that asks for it until then. */
export function refresh(...key: string[]): void {
  due.add(key.join('/'));
  timer ??= setTimeout(flush, SPACE_MS);
}

/** One walk through the cache, however many events asked for it. */
function flush(): void {
  const now = due;
  due = new Set();
  timer = undefined;
  const meant = ([first, second]: readonly unknown[]) => now.has(String(first)) || now.has(`${first}/${second}`);
  void queries.invalidateQueries({ predicate: ({ queryKey }) => meant(queryKey) });
}

/** Hangs the cache in the stream. A page that follows a list itself keeps it under a key of its own (`inbox`). */
export function keepFresh(): () => void {
  hooks.onNewer = (path, inMs) => {
    const key = LOOKED_AT[path];
    if (key) setTimeout(() => refresh(key), inMs);
  };
  const ends = [
    live.on('group', ({ group, verb }) => {
      refresh('group', group.id);
      refresh('groups');
      refresh('overview');
      if (verb === 'quarantined') refresh('quarantine');
    }),
    live.on('delivery', ({ delivery }) => {
      refresh('deliveries');
      refresh('channels');
      if (delivery.group_id) refresh('group', delivery.group_id);
    }),
    live.on('integration', ({ id, health }) => {
      const of = (one: Schemas['IntegrationOut']) => (one.id === id ? { ...one, health } : one);
      queries.setQueryData<Schemas['IntegrationOut'][]>(['integrations'], (all) => all?.map(of));
      queries.setQueryData<Schemas['IntegrationOut']>(['integrations', id], (one) => one && of(one));
      if (waits.get(id) !== health.quarantined) refresh('quarantine');
      waits.set(id, health.quarantined);
    }),
    live.on('health', (report) => queries.setQueryData(['health'], report)),
    live.on('reset', () => {
      // Another role may be why: what it no longer allows is not asked for.
      void me.ask().finally(() => queries.invalidateQueries());
    }),
  ];
  return () => ends.forEach((end) => end());
}
