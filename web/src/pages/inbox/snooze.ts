/** How long something is left alone: the choices, and when each of them ends. */
export interface Choice {
  key: string;
  minutes?: number;
  /** Local time. */
  until?: Date;
}

/** The next time that a clock shows nine in the morning, so many days ahead. */
function nine(now: Date, days: number): Date {
  const at = new Date(now);
  at.setDate(at.getDate() + days);
  at.setHours(9, 0, 0, 0);
  return at;
}

export function choices(now: Date): Choice[] {
  const morning = now.getHours() < 9 && nine(now, 0).getTime() - now.getTime() >= 60_000 ? nine(now, 0) : nine(now, 1);
  const toMonday = (8 - now.getDay()) % 7 || 7;
  return [
    { key: 'minutes15', minutes: 15 },
    { key: 'hour1', minutes: 60 },
    { key: 'hours4', minutes: 240 },
    { key: 'hours24', minutes: 1440 },
    { key: 'morning', until: morning },
    { key: 'monday', until: nine(now, toMonday) },
  ];
}

/** A local time as `<input type="datetime-local">` wants it. */
export function forInput(at: Date): string {
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
