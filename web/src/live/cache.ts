/** What the live stream changes in the cache, whatever page is open. */
import { me } from '../api/me.svelte';
import { queries } from '../api/queries';
import { live } from './live.svelte';

/** Lists that follow from many events are read anew at most this often. */
const SPACE_MS = 1_000;

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
      if (delivery.group_id) refresh('group', delivery.group_id);
    }),
    live.on('health', (report) => queries.setQueryData(['health'], report)),
    live.on('reset', () => {
      // Somebody may have been given another role meanwhile.
      void me.ask();
      void queries.invalidateQueries();
    }),
  ];
  return () => ends.forEach((end) => end());
}
