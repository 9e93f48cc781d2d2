/** Until when a snooze may last: what the menu offers, in the time zone of whoever looks. */
import { texts } from '../../texts/group';

export interface Choice {
  label: string;
  /** Minutes from now, or a moment. */
  minutes?: number;
  until?: Date;
}

const MORNING = 9;

/** The next nine o'clock in the morning that is `days` days away. */
function nine(now: Date, days: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING);
}

/** What the menu offers at a time. */
export function choices(now: Date): Choice[] {
  const hour = (at: Date) => at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  const toMonday = (8 - now.getDay()) % 7 || 7;
  const tomorrow = nine(now, 1);
  const monday = nine(now, toMonday);
  const said = texts.snoozeFor;
  return [
    { label: said.minutes(15), minutes: 15 },
    { label: said.hours(1), minutes: 60 },
    { label: said.hours(4), minutes: 240 },
    { label: said.tomorrow(hour(tomorrow)), until: tomorrow },
    ...(toMonday > 1 ? [{ label: said.monday(hour(monday)), until: monday }] : []),
  ];
}

/** A local time as `<input type="datetime-local">` takes it. */
export function forInput(at: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
