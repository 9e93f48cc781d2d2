/** Whether the appliance serves another build of the dashboard than the one that runs here: after an upgrade. */
import { live } from '../live/live.svelte';

const ENTRY = /<script[^>]+type="module"[^>]+src="([^"]+)"/;

/** Looks each time the appliance was away and is back. */
export function newerInUse(): { readonly there: boolean } {
  let there = $state(false);
  let was = live.state;

  $effect(() => {
    const now = live.state;
    if (now === 'live' && was !== 'live') void look();
    was = now;
  });

  async function look() {
    const mine = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute('src');
    try {
      const answer = await fetch('/', { headers: { accept: 'text/html' }, cache: 'no-cache' });
      const served = ENTRY.exec(await answer.text())?.[1];
      there = Boolean(mine && served && mine !== served);
    } catch {
      // It is away again; the stream says so.
    }
  }

  return {
    get there() {
      return there;
    },
  };
}
