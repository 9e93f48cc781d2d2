/** What the pages of rules ask the appliance. Conditions are objects of any shape to its description. */
import { api, ApiFault, faultOf, take, type Schemas } from '../../api/client';
import { queries } from '../../api/queries';
import { bodyOf, type Form, type Rule } from './draft';

export type Preview = Schemas['PreviewOut'];
export type Looked = Schemas['LookedOut'];
export type Tallies = Schemas['TalliesOut'];
export type Vocabulary = Schemas['VocabularyOut'];
export type Explained = Schemas['TrialOut'];
export type Channel = Schemas['ChannelOut'];
export type Both = { rule: Form; toml: string };

type Loose = Schemas['RuleIn'];
const loose = (form: Partial<Form>) => form as unknown as Loose;
const PAGE = 100;
/** How many of the last alerts the live check looks at. */
export const LAST = 200;

/** Every rule in the order in which they are asked. */
export async function everyRule(): Promise<Rule[]> {
  const found: Rule[] = [];
  let cursor: string | undefined;
  do {
    const page = await take(api.GET('/api/routing-rules', { params: { query: { limit: PAGE, cursor } } }));
    found.push(...(page.items as unknown as Rule[]));
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}

/** Every channel, also those that are switched off. */
export async function everyChannel(): Promise<Channel[]> {
  const found: Channel[] = [];
  let cursor: string | undefined;
  do {
    const page = await take(api.GET('/api/channels', { params: { query: { limit: PAGE, cursor } } }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}

export const tallies = () => take(api.GET('/api/routing-rules/matches', { params: { query: { last: LAST } } }));
export const vocabulary = () => take(api.GET('/api/routing-rules/vocabulary'));
export const workspace = () => take(api.GET('/api/workspace'));

/** One rule and its version: the tag under which it is changed. */
export async function oneRule(id: string): Promise<{ rule: Rule; tag: string }> {
  return tagged(await api.GET('/api/routing-rules/{id}', { params: { path: { id } } }));
}

/** Saves a rule that was read under a tag; "*" whatever it is now. Throws ApiFault 412 where somebody changed it. */
export async function saveRule(id: string, form: Form, tag: string): Promise<{ rule: Rule; tag: string }> {
  const answer = await api.PUT('/api/routing-rules/{id}', {
    params: { path: { id }, header: { 'If-Match': tag } },
    body: loose(bodyOf(form)),
  });
  return tagged(answer);
}

export async function makeRule(form: Partial<Form>): Promise<Rule> {
  return (await take(api.POST('/api/routing-rules', { body: loose(form) }))) as unknown as Rule;
}

export const deleteRule = (id: string) => take(api.DELETE('/api/routing-rules/{id}', { params: { path: { id } } }));

export async function copyRule(id: string): Promise<Rule> {
  return (await take(api.POST('/api/routing-rules/{id}/duplicate', { params: { path: { id } } }))) as unknown as Rule;
}

export async function switchRule(id: string, on: boolean): Promise<Rule> {
  const how = { params: { path: { id } } };
  const asked = on ? api.POST('/api/routing-rules/{id}/enable', how) : api.POST('/api/routing-rules/{id}/disable', how);
  return (await take(asked)) as unknown as Rule;
}

export async function orderRules(ids: string[]): Promise<Rule[]> {
  return (await take(api.POST('/api/routing-rules/reorder', { body: { ids } }))).items as unknown as Rule[];
}

/** Which of the last alerts conditions match. `id`: of the rule that is changed, so that its place is known. */
export function preview(form: Form, id: string | null, signal: AbortSignal): Promise<Preview> {
  const rule = { when: form.when, ...(id ? { id } : {}) } as unknown as Loose;
  return take(api.POST('/api/routing-rules/preview', { body: { rule, last: LAST }, signal }));
}

export function explain(form: Form, eventId: string): Promise<Explained> {
  const rule = loose({ when: form.when });
  return take(api.POST('/api/routing-rules/test', { body: { rule, event_id: eventId } as Schemas['TrialIn'] }));
}

/** A rule both ways: from its object, or from a file with it alone. */
export async function convert(from: { rule: unknown } | { toml: string }, signal?: AbortSignal): Promise<Both> {
  const body = from as Schemas['ConvertIn'];
  return (await take(api.POST('/api/routing-rules/convert', { body, signal }))) as unknown as Both;
}

/** Everything that was read of rules is read anew. */
export const forget = () => queries.invalidateQueries({ queryKey: ['rules'] });

function tagged(answer: { data?: unknown; error?: unknown; response: Response }): { rule: Rule; tag: string } {
  if (!answer.response.ok) throw faultOf(answer.response, answer.error);
  return { rule: answer.data as Rule, tag: answer.response.headers.get('etag') ?? '*' };
}

export const isFault = (problem: unknown, status?: number): problem is ApiFault =>
  problem instanceof ApiFault && (status === undefined || problem.status === status);
