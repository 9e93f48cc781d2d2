/** What the page about how long things are kept says. */
const ROWS: Record<string, [one: string, many: string]> = {
  groups: ['alert group', 'alert groups'],
  events: ['event of theirs', 'events of theirs'],
  deliveries: ['message', 'messages'],
  escalations: ['escalation', 'escalations'],
  payloads: ['webhook’s bytes', 'webhooks’ bytes'],
  audit: ['row of the audit log', 'rows of the audit log'],
  archived: ['event', 'events'],
};
const whole = new Intl.NumberFormat('en');

/** `1 alert group`, `1,200 alert groups` */
function rows(name: string, n: number): string {
  return `${whole.format(n)} ${ROWS[name]?.[n === 1 ? 0 : 1] ?? name}`;
}

export const texts = {
  title: 'Retention',
  lead: 'How long things are kept. Each night what is older is written into the archive, then deleted.',
  what: 'How long things are kept could not be read',
  sorts: {
    group_days: 'Resolved alert groups, with events and history',
    delivery_days: 'Messages that were sent, failed or dropped',
    escalation_days: 'Escalations that have ended',
    payload_days: 'Bytes of webhooks',
    audit_days: 'Audit log',
  } as Record<string, string>,
  days: 'Days',
  standard: (days: number) => `Days; empty: ${days}, as the settings say`,
  archive: 'Archive before deleting',
  never: 'Nothing of an alert group that is not resolved is deleted, however old it is.',
  would: 'Would go now',
  preview: 'What would go?',
  previewSaid: (rows: string) => `With these days a run would delete now: ${rows}.`,
  nothing: 'nothing',
  rows,
  failed: 'It could not be changed',
  readOnly: 'Your role here may look, not change.',
  run: 'Clean-up',
  last: 'Last run',
  next: 'Next run',
  notYet: 'not yet',
  state: { ok: 'Ok', failed: 'Failed', running: 'Under way', cut: 'Cut off' } as Record<string, string>,
  months: 'Archive',
  monthsTable: 'Months in the archive',
  monthsWhat: 'The archive could not be read',
  monthsNone: 'Nothing was archived yet.',
  head: { month: 'Month', rows: 'Rows', size: 'Size' },
  tables: (of: Record<string, number>) =>
    [
      rows('groups', of['alert_group'] ?? 0),
      rows('archived', of['event'] ?? 0),
      rows('deliveries', of['delivery'] ?? 0),
    ].join(', '),
  restore: 'Put back',
  restoring: (month: string) => `Put back ${month}`,
  restored: (month: string) => `${month} is in the lists again`,
  restoreGoesOn: (month: string) => `${month} is being put back: look again in a while`,
  restoreFailed: 'It could not be put back',
  search: 'Search the archive',
  text: 'In titles and messages',
  project: 'Project',
  look: 'Search',
  searchFailed: 'The archive could not be searched',
  found: (n: number) => (n === 0 ? 'Nothing in the archive fits.' : `${rows('groups', n)}, the newest first`),
};
