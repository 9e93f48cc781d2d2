/** The pages of the settings, and who sees them. */
import { may } from '../../api/me.svelte';
import { texts } from '../../texts/settings';

export interface Place {
  href: string;
  label: string;
  /** What one must be allowed to do to see it. */
  access: string;
}

export const PLACES: Place[] = [
  { href: '/settings/workspace', label: texts.places.workspace, access: 'settings:read' },
  { href: '/settings/people', label: texts.places.people, access: 'users:read' },
  { href: '/settings/api-keys', label: texts.places.apiKeys, access: 'api_keys:read' },
  { href: '/settings/audit', label: texts.places.audit, access: 'audit:read' },
  { href: '/settings/security', label: texts.places.security, access: 'audit:read' },
  { href: '/settings/configuration', label: texts.places.configuration, access: 'settings:write' },
  { href: '/settings/query', label: texts.places.query, access: 'settings:write' },
  { href: '/settings/retention', label: texts.places.retention, access: 'settings:read' },
  { href: '/settings/system', label: texts.places.system, access: 'settings:write' },
];

/** Those that the person who is signed in may open. */
export function seen(): Place[] {
  return PLACES.filter((place) => may(place.access));
}
