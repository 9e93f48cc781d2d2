/** What the card about versions and schemas says. */
export const texts = {
  title: 'Upgrades',
  what: 'Versions and schemas could not be read',
  now: (version: string, level: number, newest: number) =>
    level === newest
      ? `SignalCraft ${version}, database schema ${level}, the newest.`
      : `SignalCraft ${version}, database schema ${level} of ${newest}.`,
  runs: 'Migrations and upgrades',
  runsNone: 'None yet: this box was set up with this version.',
  kinds: { migration: 'Migration', upgrade: 'Upgrade' } as Record<string, string>,
  states: { ok: 'Done', failed: 'Undone', cut: 'Cut off', running: 'Running' } as Record<string, string>,
  took: (ms: number) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`),
  kept: 'Kept from before',
  keptNone: 'No copy is kept: none was needed yet.',
  keptTable: 'Copies of the database from before a migration',
  head: { file: 'File', schema: 'Schema', made: 'Made', size: 'Size' },
  newer: 'put aside on the way back',
  installed: 'Installed versions',
  installedWhere: (prefix: string) => `Below ${prefix}. The last three are kept.`,
  inUse: 'in use',
  back: 'The way back is signalcraft rollback, or signalcraft migrate down; what was written since is told before.',
};
