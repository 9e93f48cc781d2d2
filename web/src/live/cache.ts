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

type Parts = Schemas['Report']['components'];
/** The parts of health as the stream said them last. */
let parts: Parts | null = null;

/** Which parts of the appliance are another way now, all where that is not known. */
function turned(now: Parts): (name: string) => boolean {
  const before = parts;
  parts = now;
  return (name) => before?.[name]?.status !== now[name]?.status || before?.[name]?.detail !== now[name]?.detail;
}

/** A report as the stream says it, which leaves the figures of what is well away: those that were read stay. */
function withFigures(report: Schemas['Report'], known: Schemas['Report'] | undefined): Schemas['Report'] {
  const components = { ...report.components };
  for (const [name, part] of Object.entries(components)) {
    const read = known?.components[name];
    if (!part.detail && read?.status === part.status) components[name] = read;
  }
  return { ...report, components };
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
    live.on('health', (report) => {
      queries.setQueryData<Schemas['Report']>(['health'], (known) => withFigures(report, known));
      const other = turned(report.components);
      // The first report of a stream: what happened while it was opened has not been told.
      if (other('channels')) refresh('overview');
      // What is configured is told as what can be used and reached.
      if (['channels', 'configuration', 'unrouted'].some(other)) refresh('rules');
      // Whatever changes health nearly always wrote a line first.
      if (Object.keys(report.components).some(other)) refresh('warnings');
    }),
    live.on('reset', () => {
      // Another role may be why: what it no longer allows is not asked for.
      void me.ask().finally(() => queries.invalidateQueries());
    }),
  ];
  return () => {
    parts = null;
    ends.forEach((end) => end());
  };
}
