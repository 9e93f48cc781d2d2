/** Every address of the dashboard. A page's code is fetched when it is first opened. */
import { createRouter } from 'sv-router';

export const { p, navigate, isActive, preload, route } = createRouter({
  '/': () => import('./pages/overview/Page.svelte'),
  '/alert-groups': () => import('./pages/inbox/Page.svelte'),
  '/alert-groups/:id': () => import('./pages/group/Page.svelte'),
  '/analytics': () => import('./pages/analytics/Page.svelte'),
  '/deliveries': () => import('./pages/deliveries/Page.svelte'),
  '/join': () => import('./pages/join/Page.svelte'),
  '/channels': () => import('./pages/channels/Page.svelte'),
  '/channels/new': () => import('./pages/channels/New.svelte'),
  '/channels/:id': () => import('./pages/channels/One.svelte'),
  '/integrations': () => import('./pages/integrations/Page.svelte'),
  '/integrations/new': () => import('./pages/integrations/New.svelte'),
  '/integrations/:id': () => import('./pages/integrations/One.svelte'),
  '/quarantine': () => import('./pages/quarantine/Page.svelte'),
  '/quarantine/:id': () => import('./pages/quarantine/One.svelte'),
  '/profile': () => import('./pages/profile/Page.svelte'),
  '/reset': () => import('./pages/reset/Page.svelte'),
  '/rules': () => import('./pages/rules/Page.svelte'),
  '/rules/:id': () => import('./pages/rules/Editor.svelte'),
  '/rules/new': () => import('./pages/rules/Editor.svelte'),
  '/settings': () => import('./pages/settings/Page.svelte'),
  '/settings/api-keys': () => import('./pages/settings/api-keys/Page.svelte'),
  '/settings/audit': () => import('./pages/settings/audit/Page.svelte'),
  '/settings/configuration': () => import('./pages/settings/configuration/Page.svelte'),
  '/settings/people': () => import('./pages/settings/people/Page.svelte'),
  '/settings/query': () => import('./pages/settings/query/Page.svelte'),
  '/settings/retention': () => import('./pages/settings/retention/Page.svelte'),
  '/settings/security': () => import('./pages/settings/security/Page.svelte'),
  '/settings/workspace': () => import('./pages/settings/workspace/Page.svelte'),
  '/settings/system': () => import('./pages/settings/system/Page.svelte'),
  '/setup': () => import('./pages/setup/Page.svelte'),
  '/sign-in': () => import('./pages/sign-in/Page.svelte'),
  '/start': () => import('./pages/start/Page.svelte'),
  '*': () => import('./pages/lost/Page.svelte'),
});

/** Addresses that need nobody signed in. */
export const OPEN = ['/sign-in', '/setup', '/join', '/reset'];

/** Fetches the code of the page that is asked for, while the appliance is still asked who is there. */
export function fetchPage(): void {
  void preload(location.pathname as never).catch(() => undefined);
}

/** Where somebody wanted to go last. */
export const asked = { address: '' };

/** Goes to an address of the dashboard that was put together (`/alert-groups?search=…`). */
export function go(address: string, options: { replace?: boolean } = {}): void {
  const url = new URL(address, location.origin);
  asked.address = url.href;
  // The router's own types know addresses without values only.
  void navigate(url.pathname as never, { ...options, search: url.search as never, hash: url.hash as never } as never);
}

/**
 * Keeps clicks from the router that are the browser's business: with a key held, and on addresses that are no pages
 * (the API's description, a download). The router hears clicks on the window; this one hears them before.
 */
export function leaveToTheBrowser(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
  if (!link) return;
  asked.address = link.href;
  const held = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button !== 0;
  if (held || /^\/(api|health|metrics|live|ready|share|answer|docs)(\/|$)/.test(link.pathname)) event.stopPropagation();
}
