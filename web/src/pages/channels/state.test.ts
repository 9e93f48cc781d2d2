import { describe, expect, it } from 'vitest';
import { stateOf } from './state';

const health = { owed: 0, notifications_24h: 0, edits_24h: 0, failures_24h: 0 };
const channel = { enabled: true, state: 'ok' as const, last_sent_at: null as string | null, health };

describe('the state of a channel', () => {
  it('is the worst that is true of it', () => {
    expect(stateOf(channel)).toBe('waiting');
    expect(stateOf({ ...channel, last_sent_at: '2026-03-01T10:00:00.000Z' })).toBe('ok');
    expect(stateOf({ ...channel, health: { ...health, failures_24h: 2 } })).toBe('failing');
    expect(stateOf({ ...channel, state: 'broken', health: { ...health, failures_24h: 2 } })).toBe('broken');
    expect(stateOf({ ...channel, state: 'broken', enabled: false })).toBe('off');
  });
});
