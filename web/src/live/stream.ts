/**
 * One connection to /api/live: server-sent events, read by fetch so that refusals and silence can be told apart.
 *
 * The appliance sends a comment every 15 seconds; a connection that says nothing for longer is dead.
 */
import { createParser } from 'eventsource-parser';

const SILENCE_MS = 40_000;
const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15_000];

export interface StreamEvent {
  kind: string;
  data: unknown;
  id: string;
}

export interface Listener {
  /** A connection stands. `again`: it is not the first. */
  opened(again: boolean): void;
  event(event: StreamEvent): void;
  /** The connection broke; another try follows. `status`: what the appliance said, 0 where it said nothing. */
  broke(status: number): void;
}

/** Follows the stream until `signal` is aborted, connecting again after each break, from the last event on. */
export async function follow(listener: Listener, lastId: string, signal: AbortSignal): Promise<void> {
  let last = lastId;
  let tries = 0;
  let again = false;
  while (!signal.aborted) {
    const status = await connection(last, signal, {
      opened: () => {
        tries = 0;
        listener.opened(again);
        again = true;
      },
      event: (event) => {
        if (event.id) last = event.id;
        listener.event(event);
      },
    });
    if (signal.aborted) return;
    listener.broke(status);
    if (status === 401 || status === 403) return;
    await pause(WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]!, signal);
  }
}

async function connection(
  last: string,
  outer: AbortSignal,
  to: { opened(): void; event(event: StreamEvent): void },
): Promise<number> {
  const quiet = new AbortController();
  const signal = AbortSignal.any([outer, quiet.signal]);
  let timer = setTimeout(() => quiet.abort(), SILENCE_MS);
  const parser = createParser({
    onEvent: ({ event, data, id }) => to.event({ kind: event ?? 'message', data: JSON.parse(data), id: id ?? '' }),
  });
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (last) headers['last-event-id'] = last;
    const answer = await fetch('/api/live', { headers, signal, cache: 'no-store' });
    if (!answer.ok || answer.body === null) return answer.status;
    to.opened();
    const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await text.read();
      if (done) return 0;
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENCE_MS);
      parser.feed(value);
    }
  } catch {
    return 0;
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms * (0.75 + Math.random() / 2));
    const early = () => {
      clearTimeout(timer);
      done();
    };
    signal.addEventListener('abort', early, { once: true });
    // Whoever comes back to the page, or to the network, does not want to wait.
    addEventListener('online', early, { once: true });
  });
}
