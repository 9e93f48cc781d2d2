import { afterEach, describe, expect, it, vi } from 'vitest';
import { follow, type StreamEvent } from './stream';

/** A server that answers each connection as the next of `answers` says, and notes what was asked. */
function serving(answers: (Response | Error)[]): { asked: Headers[] } {
  const asked: Headers[] = [];
  vi.stubGlobal('fetch', (_: string, options: RequestInit) => {
    asked.push(new Headers(options.headers));
    const answer = answers.shift() ?? new Error('nobody is there');
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
  return { asked };
}

async function followed(answers: (Response | Error)[], breaks: number) {
  const stop = new AbortController();
  const seen: StreamEvent[] = [];
  const opened: boolean[] = [];
  const broke: number[] = [];
  const { asked } = serving(answers);
  const listener = {
    opened: (again: boolean) => opened.push(again),
    event: (event: StreamEvent) => seen.push(event),
    broke: (status: number) => broke.push(status) >= breaks && stop.abort(),
  };
  vi.useFakeTimers();
  const done = follow(listener, '', stop.signal);
  await vi.runAllTimersAsync();
  await done;
  return { seen, opened, broke, asked };
}

vi.stubGlobal('addEventListener', () => undefined);
afterEach(() => void vi.useRealTimers());

const said = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } });

describe('follow', () => {
  it('hands over events, and goes on after the last one it saw', async () => {
    const first = said(': SignalCraft\n\nid: 17\nevent: group\ndata: {"a":1}\n\n');
    const { seen, opened, asked } = await followed([first, said('event: health\ndata: {}\n\n')], 2);
    expect(seen).toEqual([
      { kind: 'group', data: { a: 1 }, id: '17' },
      { kind: 'health', data: {}, id: '' },
    ]);
    expect(opened).toEqual([false, true]);
    expect(asked.map((headers) => headers.get('last-event-id'))).toEqual([null, '17']);
  });

  it('tries again after silence and after a refusal that passes', async () => {
    const { broke, opened } = await followed([new Error('gone'), new Response('', { status: 503 }), said('')], 3);
    expect(broke).toEqual([0, 503, 0]);
    expect(opened).toEqual([false]);
  });

  it('stops where the session is over', async () => {
    const { broke, asked } = await followed([new Response('', { status: 401 }), said('')], 5);
    expect(broke).toEqual([401]);
    expect(asked).toHaveLength(1);
  });
});
