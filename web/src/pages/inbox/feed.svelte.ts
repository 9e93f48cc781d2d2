/* eslint-disable svelte/prefer-svelte-reactivity -- what is shown is replaced as a whole, which costs less with 5,000 rows */
/**
 * The list: read in pages, changed in place by the live stream, never moved while somebody reads it.
 *
 * What is new at its top is counted and offered (`fresh`), not pushed in.
 */
import { ApiFault, FIRST_LOOK, api, newerIn, take, type Schemas } from '../../api/client';
import { live } from '../../live/live.svelte';
import type { Asked } from './address';

export type Group = Schemas['GroupOut'];
type Page = Schemas['GroupPage'];

const PAGE = 100;
/** Between two looks for what is new, however much happens. */
const SPACE_MS = 1_000;
/** Changes that come together are shown together. */
const TOGETHER_MS = 250;
/** Without the stream, a look this often. */
const POLL_MS = 20_000;
/** A list that could not be read is tried again this often. */
const RETRY_MS = 5_000;
/** Pages read anew after the stream was lost; what lies behind them is read when it is scrolled to. */
const AGAIN_MAX = 10;

export class Feed {
  rows = $state.raw<Group[]>([]);
  total = $state.raw<Schemas['TotalOut'] | null>(null);
  /** reading: nothing is there yet; there; failed: nothing is there and why. */
  state = $state<'reading' | 'there' | 'failed'>('reading');
  fault = $state.raw<unknown>(null);
  /** The page behind the last one. */
  more = $state<'none' | 'some' | 'reading' | 'failed'>('none');
  /** How many of the newest page are not in the list. */
  fresh = $state(0);
  readAt = $state(0);

  #asked: Asked;
  #next: string | null = null;
  #places = new Map<string, number>();
  #newest: Page | null = null;
  #changes = new Map<string, Group>();
  #stop = new AbortController();
  #lookAt = 0;
  #lookTimer: ReturnType<typeof setTimeout> | undefined;
  #changeTimer: ReturnType<typeof setTimeout> | undefined;
  #newerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  /** Begins, and follows the stream until the function that it gives is called. */
  start(): () => void {
    if (this.state === 'there') void this.#again();
    else void this.read();
    const ends = [live.on('group', ({ group }) => this.#heard(group)), live.on('reset', () => void this.#again())];
    const timers = [
      setInterval(() => live.state === 'lost' && this.state === 'there' && this.#soon(), POLL_MS),
      setInterval(() => this.#failedForNow() && void this.read(), RETRY_MS),
    ];
    return () => {
      ends.forEach((end) => end());
      timers.forEach((timer) => clearInterval(timer));
      clearTimeout(this.#lookTimer);
      clearTimeout(this.#newerTimer);
      this.#lookTimer = undefined;
    };
  }

  /** Reads the list from its top. */
  async read(): Promise<void> {
    this.#stop.abort();
    const stop = (this.#stop = new AbortController());
    if (this.state === 'failed') this.state = 'reading';
    try {
      const page = await (this.readAt === 0 ? this.#first(stop.signal) : this.#page(null, stop.signal));
      if (!stop.signal.aborted) this.#begin(page);
    } catch (problem) {
      if (stop.signal.aborted) return;
      this.fault = problem;
      if (this.state !== 'there') this.state = 'failed';
    }
  }

  /** Shows what is new: the newest page takes the list's place. */
  showFresh(): void {
    if (this.#newest) this.#begin(this.#newest);
    else void this.read();
  }

  /** Reads the page behind the last one. */
  async readMore(): Promise<void> {
    if (this.#next === null || this.more === 'reading') return;
    this.more = 'reading';
    const stop = this.#stop;
    try {
      const page = await this.#page(this.#next, stop.signal);
      if (stop.signal.aborted) return;
      this.#add(page.items);
      this.#next = page.next;
      this.more = page.next === null ? 'none' : 'some';
    } catch (problem) {
      if (stop.signal.aborted) return;
      this.fault = problem;
      this.more = 'failed';
    }
  }

  /** What an answer already says of some, before the stream tells the rest. */
  became(states: ReadonlyMap<string, string>): void {
    for (const [id, status] of states) {
      const row = this.row(id);
      if (row && row.status !== status && !this.#changes.has(id)) this.#changes.set(id, { ...row, status });
    }
    this.#apply();
    this.#soon();
  }

  row(id: string): Group | undefined {
    const at = this.#places.get(id);
    return at === undefined ? undefined : this.rows[at];
  }

  place(id: string): number {
    return this.#places.get(id) ?? -1;
  }

  #begin(page: Page): void {
    this.#places.clear();
    this.rows = [];
    this.#add(page.items);
    this.#next = page.next;
    this.more = page.next === null ? 'none' : 'some';
    this.total = page.total;
    this.fresh = 0;
    this.#newest = null;
    this.fault = null;
    this.state = 'there';
    this.readAt = Date.now();
  }

  #add(items: Group[]): void {
    const added = items.filter((one) => !this.#places.has(one.id));
    added.forEach((one, n) => this.#places.set(one.id, this.rows.length + n));
    this.rows = [...this.rows, ...added];
  }

  #heard(group: Group): void {
    if (this.#places.has(group.id)) {
      this.#changes.set(group.id, group);
      this.#changeTimer ??= setTimeout(() => this.#apply(), TOGETHER_MS);
    } else this.#soon();
  }

  #apply(): void {
    clearTimeout(this.#changeTimer);
    this.#changeTimer = undefined;
    if (this.#changes.size === 0) return;
    const rows = [...this.rows];
    for (const [id, group] of this.#changes) {
      const at = this.#places.get(id);
      if (at !== undefined) rows[at] = group;
    }
    this.#changes.clear();
    this.rows = rows;
  }

  /** Looks for what is new: at once, and then at most once a second. */
  #soon(): void {
    if (this.#lookTimer) return;
    const wait = Math.max(0, this.#lookAt + SPACE_MS - Date.now());
    this.#lookTimer = setTimeout(() => void this.#look(), wait);
  }

  async #look(): Promise<void> {
    this.#lookAt = Date.now();
    const stop = this.#stop;
    try {
      const page = await this.#page(null, stop.signal);
      if (!stop.signal.aborted) this.#compare(page);
    } catch (problem) {
      // The next event, or the next turn, looks again; the banner says that the stream is lost.
      if (!(problem instanceof ApiFault)) throw problem;
    } finally {
      this.#lookTimer = undefined;
    }
  }

  #compare(page: Page): void {
    this.readAt = Date.now();
    this.total = page.total;
    // What stands behind the last row that is known only moved up, as others left; above it, it is new.
    const whole = this.more === 'none' && this.rows.length < PAGE;
    const lastKnown = page.items.findLastIndex((one) => this.#places.has(one.id));
    const unknown = page.items.filter(
      (one, n) => !this.#places.has(one.id) && (whole || lastKnown < 0 || n < lastKnown),
    );
    if (this.state !== 'there' || this.rows.length === 0) return this.#begin(page);
    this.fresh = unknown.length;
    this.#newest = unknown.length > 0 ? page : null;
    for (const one of page.items) if (this.#places.has(one.id)) this.#changes.set(one.id, one);
    this.#apply();
  }

  /** After a break: what is shown is read once more and changed where it stands. */
  async #again(): Promise<void> {
    const stop = this.#stop;
    const had = this.rows.length;
    try {
      let page = await this.#page(null, stop.signal);
      if (stop.signal.aborted) return;
      this.#compare(page);
      for (let n = 1; n < AGAIN_MAX && page.next !== null && n * PAGE < had; n += 1) {
        page = await this.#page(page.next, stop.signal);
        if (stop.signal.aborted) return;
        for (const one of page.items) if (this.#places.has(one.id)) this.#changes.set(one.id, one);
        this.#apply();
      }
    } catch (problem) {
      if (!stop.signal.aborted && this.state !== 'there') {
        this.fault = problem;
        this.state = 'failed';
      }
    }
  }

  /** The appliance was silent or failed itself, which may be over by now; what it refused it refuses again. */
  #failedForNow(): boolean {
    const status = this.fault instanceof ApiFault ? this.fault.status : 400;
    return this.state === 'failed' && (status === 0 || status >= 500);
  }

  /** The first look at the list; what came just before it and is not in it is looked for a little later. */
  async #first(signal: AbortSignal): Promise<Page> {
    const asked = await api.GET('/api/alert-groups', { params: { query: this.#query() }, signal, headers: FIRST_LOOK });
    const newer = newerIn(asked.response);
    if (newer > 0) this.#newerTimer = setTimeout(() => void this.#newer(), newer);
    return take(Promise.resolve(asked));
  }

  /** Whoever has gone on reading since is told how much is new; else the list becomes what it is. */
  async #newer(): Promise<void> {
    const begun = this.readAt;
    if (this.fresh > 0 || this.rows.length > PAGE || scrollY > 0) return this.#soon();
    const page = await this.#page(null, this.#stop.signal).catch(() => null);
    if (page && begun === this.readAt && scrollY === 0) this.#begin(page);
    else this.#soon();
  }

  #page(cursor: string | null, signal: AbortSignal): Promise<Page> {
    const query = { ...this.#query(), ...(cursor && { cursor }) };
    return take(api.GET('/api/alert-groups', { params: { query }, signal }));
  }

  #query() {
    const { search, sort, order, group } = this.#asked;
    return { limit: PAGE, sort, order, ...(search && { search }), ...(group && { group_by: group }) };
  }
}

/** Lists that were left are kept for a while: whoever comes back finds theirs where it was. */
const KEPT_MS = 5 * 60_000;
const kept = new Map<string, { feed: Feed; leftAt: number; scrolled: number }>();

export function feedOf(address: string, asked: Asked): { feed: Feed; scrolled: number } {
  const found = kept.get(address);
  kept.delete(address);
  if (found && Date.now() - found.leftAt < KEPT_MS && found.feed.state === 'there') return found;
  return { feed: new Feed(asked), scrolled: 0 };
}

export function keep(address: string, feed: Feed, scrolled: number): void {
  kept.clear();
  kept.set(address, { feed, leftAt: Date.now(), scrolled });
}
