/** Figures as people read them, and where each leads. */
import { lasted } from '../../parts/time';
import { texts } from '../../texts/overview';

const whole = new Intl.NumberFormat('en');
const percent = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** `12,345` */
export function counted(n: number): string {
  return whole.format(n);
}

/** `97.5 %` */
export function hundredth(n: number): string {
  return `${percent.format(n)} %`;
}

/** Seconds as `4 min 10 s`; below a second as itself. */
export function span(seconds: number): string {
  return seconds > 0 && seconds < 1 ? '< 1 s' : lasted(Math.round(seconds));
}

export type Unit = 'count' | 'percent' | 'seconds';

export function shown(value: number, unit: Unit): string {
  return unit === 'percent' ? hundredth(value) : unit === 'seconds' ? span(value) : counted(value);
}

export interface Trend {
  direction: 'up' | 'down' | 'same';
  /** In words, for everybody: `up 12 %`. */
  words: string;
}

/** How a figure moved; null where one of both was not measured. */
export function trend(now: number | null, before: number | null, unit: Unit): Trend | null {
  if (now === null || before === null) return null;
  if (now === before) return { direction: 'same', words: texts.trend.same };
  const direction = now > before ? 'up' : 'down';
  const say = texts.trend[direction];
  // Of a percentage the difference says more than the percentage of a percentage.
  if (unit === 'percent')
    return { direction, words: say(texts.trend.points(percent.format(round(Math.abs(now - before))))) };
  if (before === 0) return { direction, words: texts.trend.fromNothing };
  const by = Math.abs(now - before) / before;
  return { direction, words: say(by >= 10 ? `${percent.format(round(now / before))} ×` : hundredth(round(100 * by))) };
}

function round(n: number): number {
  return n >= 10 ? Math.round(n) : Math.round(n * 10) / 10;
}

/** The inbox, with a search. */
export function inbox(search: string): string {
  return `/alert-groups?${new URLSearchParams({ search })}`;
}

/** The ledger, with filters. */
export function ledger(filters: Record<string, string>): string {
  return `/deliveries?${new URLSearchParams(filters)}`;
}

export const SOUNDS = 'first,repeat,escalation,resolved';
