import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { live } from './live.svelte';

/** A lock of the browser's: one holds it, the next one waits. */
function locks() {
  let held: Promise<unknown> = Promise.resolve();
  return { request: (_: string, __: unknown, work: () => Promise<unknown>) => (held = held.then(work)) };
}

/** A server whose connections the test speaks on and breaks; the first are answered with `refusals`. */
function serving(...refusals: number[]) {
  const open: ReadableStreamDefaultController<Uint8Array>[] = [];
  vi.stubGlobal('navigator', { locks: locks() });
  vi.stubGlobal('fetch', () => {
    const status = refusals.shift();
    if (status) return Promise.resolve(new Response('', { status }));
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void open.push(controller) });
    return Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
  });
  const last = () => open.at(-1)!;
  return {
    says: (text: string) => last().enqueue(new TextEncoder().encode(text)),
    breaks: () => last().close(),
    count: () => open.length,
  };
}

/** Somebody is signed in: listening begins, and whatever answers at once has answered. */
async function begun(onRefused: () => void = () => undefined) {
  live.start(onRefused);
  await vi.advanceTimersByTimeAsync(100);
}

vi.stubGlobal('addEventListener', () => undefined);
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

describe('live', () => {
  it('has everything read anew after a break, and not at its first connection', async () => {
    const server = serving();
    const resets: string[] = [];
    const groups: unknown[] = [];
    live.on('reset', ({ why }) => void resets.push(why));
    live.on('group', (data) => void groups.push(data));
    await begun();
    server.says('id: 7\nevent: group\ndata: {"verb":"fired"}\n\n');
    await vi.advanceTimersByTimeAsync(100);
    expect([resets, groups, live.state]).toEqual([[], [{ verb: 'fired' }], 'live']);

    // What has no number (messages, counts) is not replayed: whoever shows it has to ask.
    server.breaks();
    await vi.advanceTimersByTimeAsync(1_500);
    expect([server.count(), live.state]).toEqual([2, 'live']);
    expect(resets).toEqual(['connected again']);
  });

  it('follows at once for whoever signs in after the session was refused', async () => {
    const server = serving(401);
    await begun(() => live.stop());
    expect([server.count(), live.state]).toEqual([0, 'connecting']);
    await begun();
    expect([server.count(), live.state]).toEqual([1, 'live']);
  });

  it('follows at once for whoever signs out and in again', async () => {
    const server = serving();
    await begun();
    live.stop();
    server.breaks();
    await vi.advanceTimersByTimeAsync(100);
    await begun();
    expect([server.count(), live.state]).toEqual([2, 'live']);
  });

  it('says that it is lost only after a while, and since when', async () => {
    const server = serving();
    await begun();
    const at = Date.now();
    vi.stubGlobal('fetch', () => Promise.reject(new Error('nobody is there')));
    server.breaks();
    await vi.advanceTimersByTimeAsync(2_000);
    expect([live.state, live.lostAt]).toEqual(['connecting', null]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([live.state, live.lostAt]).toEqual(['lost', at]);
  });
});
