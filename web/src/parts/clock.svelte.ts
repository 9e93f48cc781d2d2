/** One clock for every relative time on the screen: it turns every ten seconds, and not while nobody looks. */
import { createSubscriber } from 'svelte/reactivity';

const TURN_MS = 10_000;

const subscribe = createSubscriber((update) => {
  const timer = setInterval(() => document.visibilityState === 'visible' && update(), TURN_MS);
  document.addEventListener('visibilitychange', update);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', update);
  };
});

/** Milliseconds since 1970; whoever reads it in a component is drawn again as time goes by. */
export function nowMs(): number {
  subscribe();
  return Date.now();
}
