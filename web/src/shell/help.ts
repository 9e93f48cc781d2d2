/** The page of the documentation that helps on each page of the dashboard; the box serves them at /docs. */
const HELP: Record<string, string> = {
  '/': 'how-to/watch-over-it',
  '/alert-groups': 'how-to/inbox',
  '/alert-groups/:id': 'how-to/alert-groups',
  '/analytics': 'how-to/analytics',
  '/deliveries': 'how-to/watch-over-it',
  '/join': 'how-to/people',
  '/channels': 'how-to/connect-senders-and-channels',
  '/channels/new': 'how-to/connect-senders-and-channels',
  '/channels/:id': 'how-to/connect-senders-and-channels',
  '/integrations': 'how-to/connect-senders-and-channels',
  '/integrations/new': 'how-to/connect-senders-and-channels',
  '/integrations/:id': 'how-to/connect-senders-and-channels',
  '/quarantine': 'how-to/connect-senders-and-channels',
  '/quarantine/:id': 'how-to/connect-senders-and-channels',
  '/profile': 'how-to/people',
  '/reset': 'how-to/people',
  '/rules': 'how-to/routing-rules',
  '/rules/:id': 'how-to/routing-rules',
  '/rules/new': 'how-to/routing-rules',
  '/settings': 'how-to/settings',
  '/settings/api-keys': 'how-to/use-the-api',
  '/settings/audit': 'how-to/audit',
  '/settings/configuration': 'how-to/settings',
  '/settings/people': 'how-to/people',
  '/settings/query': 'how-to/query',
  '/settings/retention': 'how-to/retention',
  '/settings/security': 'how-to/audit',
  '/settings/workspace': 'how-to/settings',
  '/settings/system': 'how-to/watch-over-it',
  '/setup': 'how-to/first-run',
  '/sign-in': 'how-to/people',
  '/start': 'how-to/first-run',
  '*': 'index',
};

/** Where help on a page of the dashboard is. */
export function helpFor(path: string): string {
  const parts = path.split('/');
  const fits = (one: string) => {
    const wanted = one.split('/');
    return wanted.length === parts.length && wanted.every((part, n) => part === parts[n] || part.startsWith(':'));
  };
  const known = path in HELP ? path : Object.keys(HELP).find(fits);
  return `/docs/${HELP[known ?? '*']}.md`;
}
