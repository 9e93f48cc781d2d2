/** What happened, in words: one sentence for each moment of a timeline. */
import type { Schemas } from '../../api/client';
import { texts } from '../../texts/group';

export type Moment = Omit<Schemas['MomentOut'], 'data'> & { data: Record<string, unknown> };
export type Sort = 'events' | 'person' | 'message' | 'system' | 'comment' | 'bad' | 'good';

const say = texts.verbs;

/** Lines of the journal that a delivery of the timeline tells better. */
const TOLD_BETTER = new Set(['told', 'delivery_failed']);

/** Whether a moment is shown; `edits`: edits of messages that went well, too. */
export function isShown(moment: Moment, edits: boolean): boolean {
  if (moment.kind === 'journal') return !TOLD_BETTER.has(moment.verb) && moment.verb !== 'comment_edited';
  if (moment.kind === 'delivery' && moment.verb === 'update') return edits || moment.delivery?.state === 'failed';
  return true;
}

/** Text of a moment's data. */
export function field(moment: Moment, name: string): string {
  const value = moment.data[name];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

function number(moment: Moment, name: string): number {
  const value = moment.data[name];
  return typeof value === 'number' ? value : 0;
}

/** One sentence. `at` writes a time for people. */
export function sentence(moment: Moment, at: (time: string) => string): string {
  if (moment.kind === 'events') return texts.timeline.events(number(moment, 'events'));
  if (moment.kind === 'delivery') {
    return `${texts.deliveryKinds[moment.verb] ?? moment.verb} ${texts.to(moment.channels.join(', '))}`;
  }
  if (moment.kind === 'escalation') {
    const channels = moment.channels.join(', ');
    return moment.verb === 'escalated' ? say.escalated(channels) : say.notEscalated(channels);
  }
  return journal(moment, at);
}

function journal(moment: Moment, at: (time: string) => string): string {
  const who = moment.actor?.name ?? '';
  const get = (name: string) => field(moment, name);
  const person = moment.actor !== null && moment.actor.kind !== 'system';
  const known: Record<string, () => string> = {
    opened: () => say.opened(get('severity')),
    rose: () => say.rose(get('from'), get('to')),
    spiked: () => say.spiked(get('from'), get('to')),
    episode: () => say.episode(get('episode')),
    reopened: () => (person ? say.reopenedBy(who) : say.reopened(get('resolved_by'))),
    broke_through: () => say.brokeThrough(get('from'), get('to'), get('was')),
    acknowledgement_expired: () => say.ackExpired(get('by')),
    acknowledged: () => say.acknowledged(who),
    snoozed: () => say.snoozed(who, get('until') ? at(get('until')) : '…'),
    unsnoozed: () => say.unsnoozed(who),
    snooze_ended: () => say.snoozeEnded,
    resolved: () => say.resolved(who),
    assigned: () => (get('to') ? say.assigned(who, get('to')) : say.unassigned(who, get('from'))),
    asked_again: () => say.askedAgain,
    unrouted: () => say.unrouted,
    untold: () => say.untold(number(moment, 'messages')),
    commented: () => (moment.data['deleted'] ? say.commentDeleted(who) : say.commented(who)),
    comment_deleted: () => say.deletedComment(who),
    shared: () => say.shared(who, number(moment, 'hours')),
    share_revoked: () => say.unshared(who),
    told_by_fallback: () => say.fallback(get('channel')),
    delivery_retried: () => say.retried(who),
    delivery_dropped: () => say.dropped(who),
    told: () => say.told(get('channel')),
    delivery_failed: () => say.notTold(get('channel')),
  };
  const found = known[moment.verb];
  if (found) return found();
  if (moment.actor?.kind === 'source') return say.atSource(who, action(get('action') || moment.verb));
  return say.other(moment.verb, person ? who : '');
}

/** `comment.created` in words. */
function action(name: string): string {
  const [what, done] = name.split('.');
  return done ? `${what} ${done}`.replaceAll('_', ' ') : name;
}

/** What a person wrote beside it: a note, a vendor's text, why. */
export function beside(moment: Moment): string {
  if (moment.kind !== 'journal' || moment.verb === 'commented') return '';
  return field(moment, 'note') || field(moment, 'text') || field(moment, 'why');
}

/** Why a message was owed: its reason, the rule that led there. */
export function reasons(moment: Moment): string[] {
  const found = [field(moment, 'reason')];
  if (field(moment, 'rule')) found.push(texts.timeline.rule(field(moment, 'rule')));
  else if (moment.data['stands_in']) found.push(texts.timeline.standsIn);
  else if (moment.verb === 'first') found.push(texts.timeline.defaultRoute);
  return found.filter(Boolean);
}

/** What is shown of a timeline, the newest first: runs of events with nothing shown between them are one run. */
export function visible(moments: Moment[], edits: boolean): Moment[] {
  const out: Moment[] = [];
  for (const moment of moments) {
    if (!isShown(moment, edits)) continue;
    const newer = out.at(-1);
    if (moment.kind === 'events' && newer?.kind === 'events') out[out.length - 1] = joined(moment, newer);
    else out.push(moment);
  }
  return out;
}

function joined(older: Moment, newer: Moment): Moment {
  const { until, last_event_id } = newer.data;
  const events = number(older, 'events') + number(newer, 'events');
  return { ...older, data: { ...older.data, events, until, last_event_id } };
}

/** What sort of thing it is: how it is marked. */
export function sortOf(moment: Moment): Sort {
  if (moment.kind === 'events') return 'events';
  if (moment.kind === 'delivery') return moment.delivery?.state === 'failed' ? 'bad' : 'message';
  if (moment.verb === 'commented') return 'comment';
  if (moment.verb === 'resolved') return 'good';
  if (['rose', 'spiked', 'broke_through', 'unrouted', 'untold', 'escalated'].includes(moment.verb)) return 'bad';
  return moment.actor !== null && moment.actor.kind !== 'system' ? 'person' : 'system';
}

/** An actual value of a rule's question, as people read it. */
export function shown(value: unknown): string {
  if (value === null || value === undefined || value === '') return texts.why.nothing;
  if (Array.isArray(value)) return value.map(shown).join(', ');
  return typeof value === 'string' ? `“${value}”` : String(value as number | boolean);
}

/** `severity is at least “high”`. */
export function question(asked: Schemas['Asked']): string {
  const operator = texts.why.operators[asked.operator] ?? asked.operator;
  if (asked.operator === 'exists') return `${asked.field} ${operator}${asked.expected === false ? ': no' : ''}`;
  return `${asked.field} ${operator} ${shown(asked.expected)}`;
}
