/** Times as people read them: local, with UTC beside it. */
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'narrow' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const year = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const whole = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** `3m ago`, `in 2h`; a date where it is further away than a week. */
export function ago(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000);
  if (Math.abs(seconds) < 5) return 'now';
  if (Math.abs(seconds) > 7 * 86_400) return dated(at, now);
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size)!;
  return relative.format(Math.trunc(seconds / size), unit);
}

/** A local date, with the time of day where it is near. */
export function dated(at: number, now: number): string {
  return Math.abs(at - now) < 180 * 86_400_000 ? day.format(at) : year.format(at);
}

/** The local time of day. */
export function hourOf(at: number): string {
  return clock.format(at);
}

/** Local and UTC, to the second: what a tooltip says. */
export function both(at: number): string {
  return `${whole.format(at)}\n${new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z/, '')} UTC`;
}

/** `1 h 5 min` of seconds. */
export function lasted(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3_600), 'h'],
    [Math.floor((seconds % 3_600) / 60), 'min'],
    [Math.round(seconds % 60), 's'],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ');
}
