/** How an integration does, in one word: the worst that is true of it. */
import type { Schemas } from '../../api/client';
import type { Tone } from '../../parts/Badge.svelte';

export type State = 'ok' | 'waiting' | 'refused' | 'quarantined' | 'off';

export function stateOf(one: Pick<Schemas['IntegrationOut'], 'enabled' | 'health'>): State {
  const { last_webhook_at: came, last_refused_at: refused, quarantined } = one.health;
  if (!one.enabled) return 'off';
  // Sent away after the last one that was taken: whatever it was, the sender is shut out now.
  if (refused && (!came || Date.parse(refused) > Date.parse(came))) return 'refused';
  if (quarantined > 0) return 'quarantined';
  return came ? 'ok' : 'waiting';
}

export const TONES: Record<State, Tone> = {
  ok: 'ok',
  waiting: 'info',
  refused: 'critical',
  quarantined: 'medium',
  off: 'info',
};
