/** Where the navigation leads, and who sees it. */
import type { Component } from 'svelte';
import ChartColumn from '@lucide/svelte/icons/chart-column-big';
import Gauge from '@lucide/svelte/icons/gauge';
import Inbox from '@lucide/svelte/icons/inbox';
import Send from '@lucide/svelte/icons/send';
import Waypoints from '@lucide/svelte/icons/waypoints';
import Plug from '@lucide/svelte/icons/plug';
import Megaphone from '@lucide/svelte/icons/megaphone';
import FileWarning from '@lucide/svelte/icons/file-warning';
import Settings from '@lucide/svelte/icons/settings';
import { texts } from '../texts/shell';

export interface Place {
  href: string;
  label: string;
  icon: Component;
  /** What one must be allowed to do to see it. */
  access: string;
  /** The letter after `g`. */
  key: string;
}

export const PLACES: Place[] = [
  { href: '/', label: texts.nav.overview, icon: Gauge, access: 'alerts:read', key: 'o' },
  { href: '/alert-groups', label: texts.nav.inbox, icon: Inbox, access: 'alerts:read', key: 'i' },
  { href: '/deliveries', label: texts.nav.deliveries, icon: Send, access: 'alerts:read', key: 'd' },
  { href: '/analytics', label: texts.nav.analytics, icon: ChartColumn, access: 'alerts:read', key: 'a' },
  { href: '/quarantine', label: texts.nav.quarantine, icon: FileWarning, access: 'integrations:read', key: 'q' },
  { href: '/rules', label: texts.nav.rules, icon: Waypoints, access: 'routing:read', key: 'r' },
  { href: '/integrations', label: texts.nav.integrations, icon: Plug, access: 'integrations:read', key: 'n' },
  { href: '/channels', label: texts.nav.channels, icon: Megaphone, access: 'channels:read', key: 'c' },
  { href: '/settings', label: texts.nav.settings, icon: Settings, access: 'settings:read', key: 's' },
];

/** Whether an address lies in a place. */
export function isIn(path: string, place: Place): boolean {
  return place.href === '/' ? path === '/' : path === place.href || path.startsWith(`${place.href}/`);
}
