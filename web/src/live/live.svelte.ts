/**
 * What happens, as it happens: one stream a browser, whatever the number of its tabs.
 *
 * The tab that holds the lock reads the stream and tells the others; when it closes the lock passes on. A visible tab
 * that hears nothing from the leader for a while takes the lock: browsers put tabs in the background to sleep.
 */
import type { Schemas } from '../api/client';
import { follow, type StreamEvent } from './stream';

export interface LiveEvents {
  group: { verb: string; at: string; actor: Schemas['ActorOut'] | null; group: Schemas['GroupOut'] };
  delivery: { delivery: Schemas['DeliveryOut'] };
  /** An integration spoke, or was sent away; once a second at most. */
  integration: { id: string; health: Schemas['IntegrationHealth'] };
  health: Schemas['Report'];
  /** Everything is to be read anew: something was missed. */
  reset: { why: string };
}
export type LiveKind = keyof LiveEvents;
type State = 'live' | 'connecting' | 'lost';
type Told =
  | { what: 'events'; events: StreamEvent[] }
  | { what: 'state'; state: State; status: number }
  | { what: 'beat'; state: State }
  | { what: 'hello' };

const LOCK = 'signalcraft-live';
const BEAT_MS = 5_000;
const STEAL_MS = 20_000;
/** Events that come together are taken, and told to the other tabs, together. */
const TOGETHER_MS = 60;
/** A break shorter than this is not worth a word. */
const PATIENCE_MS = 2_500;

class Live {
  state = $state<State>('connecting');
  /** When the stream was lost: what is shown is as old as that. */
  lostAt = $state<number | null>(null);

  #handlers = new Map<LiveKind, ((data: never) => void)[]>();
  #onRefused: () => void = () => undefined;
  #channel: BroadcastChannel | null = null;
  #stop: AbortController | null = null;
  #last = '';
  #heard = 0;
  #leads = false;
  #came: StreamEvent[] = [];
  #cameTimer: ReturnType<typeof setTimeout> | undefined;
  #lossTimer: ReturnType<typeof setTimeout> | undefined;

  /** Begins to listen; `onRefused` is called when the appliance no longer knows the session. */
  start(onRefused: () => void): void {
    if (this.#stop) return;
    this.#onRefused = onRefused;
    const stop = (this.#stop = new AbortController());
    this.#heard = Date.now();
    this.#channel = new BroadcastChannel(LOCK);
    this.#channel.onmessage = ({ data }: MessageEvent<Told>) => this.#hear(data);
    this.#channel.postMessage({ what: 'hello' } satisfies Told);
    const timer = setInterval(() => this.#beat(), BEAT_MS);
    stop.signal.addEventListener('abort', () => clearInterval(timer));
    void this.#lead(false);
  }

  /** Ends it: nobody is signed in any more. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.#channel?.close();
    this.#channel = null;
    this.#leads = false;
    this.#last = '';
    this.#forget();
    clearTimeout(this.#lossTimer);
    this.state = 'connecting';
    this.lostAt = null;
  }

  on<K extends LiveKind>(kind: K, handler: (data: LiveEvents[K]) => void): () => void {
    const mine = handler as (data: never) => void;
    this.#handlers.set(kind, [...(this.#handlers.get(kind) ?? []), mine]);
    return () => this.#handlers.set(kind, this.#handlers.get(kind)?.filter((one) => one !== mine) ?? []);
  }

  async #lead(steal: boolean): Promise<void> {
    const stop = this.#stop;
    if (!stop) return;
    const options: LockOptions = steal ? { steal: true } : { signal: stop.signal };
    const mine = new AbortController();
    stop.signal.addEventListener('abort', () => mine.abort());
    try {
      await navigator.locks.request(LOCK, options, () => this.#follow(mine.signal));
    } catch {
      // Another tab took the lock, or listening ended.
    }
    mine.abort();
    this.#leads = false;
    if (!stop.signal.aborted && stop === this.#stop) void this.#lead(false);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.#leads = true;
    await follow(
      {
        opened: (again) => {
          this.#turn('live', 0, true);
          // What has no number in the journal (deliveries, counts) is not replayed: read it once more.
          if (again) this.#tell({ kind: 'reset', data: { why: 'connected again' }, id: '' });
        },
        event: (event) => this.#tell(event),
        broke: (status) => this.#turn('connecting', status, true),
      },
      this.#last,
      signal,
    );
    // An end that came before this line is never told again: who waited for it would keep the lock for good.
    if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done));
  }

  #tell(event: StreamEvent): void {
    this.#came.push(event);
    this.#cameTimer ??= setTimeout(() => {
      const events = this.#came;
      this.#forget();
      this.#say({ what: 'events', events });
      events.forEach((one) => this.#take(one));
    }, TOGETHER_MS);
  }

  #forget(): void {
    clearTimeout(this.#cameTimer);
    this.#cameTimer = undefined;
    this.#came = [];
  }

  #say(told: Told): void {
    this.#channel?.postMessage(told);
  }

  #take(event: StreamEvent): void {
    if (event.id) this.#last = event.id;
    for (const handler of this.#handlers.get(event.kind as LiveKind) ?? []) handler(event.data as never);
  }

  #hear(told: Told): void {
    if (told.what === 'hello') {
      if (this.#leads) this.#say({ what: 'beat', state: this.state });
      return;
    }
    if (this.#leads) return;
    this.#heard = Date.now();
    if (told.what === 'events') told.events.forEach((one) => this.#take(one));
    else if (told.what === 'state') this.#turn(told.state, told.status, false);
    else if (this.state !== told.state) this.#turn(told.state, 0, false);
  }

  #beat(): void {
    if (this.#leads) this.#say({ what: 'beat', state: this.state });
    else if (document.visibilityState === 'visible' && Date.now() - this.#heard > STEAL_MS) {
      this.#heard = Date.now();
      void this.#lead(true);
    }
  }

  #turn(state: State, status: number, tell: boolean): void {
    if (tell) this.#say({ what: 'state', state, status });
    if (status === 401 || status === 403) this.#onRefused();
    if (state === 'live') {
      clearTimeout(this.#lossTimer);
      this.#lossTimer = undefined;
      this.lostAt = null;
      this.state = 'live';
    } else if (this.state === 'live') {
      this.state = 'connecting';
      const since = Date.now();
      this.#lossTimer ??= setTimeout(() => {
        this.#lossTimer = undefined;
        this.lostAt = since;
        this.state = 'lost';
      }, PATIENCE_MS);
    } else if (!this.#lossTimer && this.state === 'connecting') {
      this.#lossTimer = setTimeout(() => {
        this.#lossTimer = undefined;
        this.lostAt = Date.now();
        this.state = 'lost';
      }, PATIENCE_MS);
    }
  }
}

export const live = new Live();

/** Hears events of one kind while the component that calls it is there. */
export function onLive<K extends LiveKind>(kind: K, handler: (data: LiveEvents[K]) => void): void {
  $effect(() => live.on(kind, handler));
}
