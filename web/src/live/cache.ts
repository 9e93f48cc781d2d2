/** What the live stream changes in the cache, whatever page is open. */
import { me } from '../api/me.svelte';
import type { Schemas } from '../api/client';
import { queries } from '../api/queries';
import { live } from './live.svelte';

/** Lists that follow from many events are read anew at most this often. */
const SPACE_MS = 1_000;

/** How many webhooks of an integration wait in quarantine, as the stream said last. */
const waits = new Map<string, number>();
const waiting = new Map<string, ReturnType<typeof setTimeout>>();

/** Reads queries anew, soon, once for all that asks for it until then. */
export function refresh(...key: string[]): void {
  const name = key.join('/');
  if (waiting.has(name)) return;
  waiting.set(
    name,
    setTimeout(() => {
      waiting.delete(name);
      void queries.invalidateQueries({ queryKey: key });
    }, SPACE_MS),
  );
}

/** Hangs the cache in the stream. A page that follows a list itself keeps it under a key of its own (`inbox`). */
export function keepFresh(): () => void {
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
