/** How a channel does, in one word: the worst that is true of it. */
import type { Schemas } from '../../api/client';
import type { Tone } from '../../parts/Badge.svelte';

export type State = 'ok' | 'waiting' | 'broken' | 'failing' | 'off';

export function stateOf(one: Pick<Schemas['ChannelOut'], 'enabled' | 'state' | 'last_sent_at' | 'health'>): State {
  if (!one.enabled) return 'off';
  if (one.state === 'broken') return 'broken';
  if (one.health.failures_24h > 0) return 'failing';
  return one.last_sent_at ? 'ok' : 'waiting';
}

export const TONES: Record<State, Tone> = {
  ok: 'ok',
  waiting: 'info',
  broken: 'critical',
  failing: 'medium',
  off: 'info',
};
