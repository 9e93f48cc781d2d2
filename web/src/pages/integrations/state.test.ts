import { describe, expect, it } from 'vitest';
import { stateOf } from './state';

const health = {
  last_webhook_at: null as string | null,
  last_refused_at: null as string | null,
  last_refused_why: null,
  events_24h: 0,
  duplicates_24h: 0,
  refused_signature_24h: 0,
  refused_limit_24h: 0,
  quarantined: 0,
};
const EARLIER = '2026-03-01T10:00:00.000Z';
const LATER = '2026-03-01T10:05:00.000Z';

describe('the state of an integration', () => {
  it('is the worst that is true of it', () => {
    expect(stateOf({ enabled: true, health })).toBe('waiting');
    expect(stateOf({ enabled: true, health: { ...health, last_webhook_at: EARLIER } })).toBe('ok');
    expect(stateOf({ enabled: true, health: { ...health, last_webhook_at: EARLIER, quarantined: 1 } })).toBe(
      'quarantined',
    );
    expect(stateOf({ enabled: true, health: { ...health, last_refused_at: LATER } })).toBe('refused');
    expect(stateOf({ enabled: false, health: { ...health, last_refused_at: LATER } })).toBe('off');
  });

  it('is good again when a webhook was taken after one was sent away', () => {
    const mended = { ...health, last_refused_at: EARLIER, last_webhook_at: LATER };
    expect(stateOf({ enabled: true, health: mended })).toBe('ok');
    expect(stateOf({ enabled: true, health: { ...mended, last_refused_at: LATER, last_webhook_at: EARLIER } })).toBe(
      'refused',
    );
  });
});
