/** One verb for some alert groups, and what is said of it. */
import { api, take, type Schemas } from '../../api/client';
import { toast } from '../../parts/toasts.svelte';
import { texts } from '../../texts/inbox';
import { texts as shell } from '../../texts/shell';

export type Answer = Omit<Schemas['BulkIn'], 'ids'>;
export const MOST = 500;

/** What takes a verb back. */
const BACK: Partial<Record<Answer['verb'], Answer['verb']>> = { snooze: 'unsnooze', resolve: 'reopen' };

/** Does it and says how it went; the status of each one now, or null where nothing was done at all. */
export async function answer(
  ids: string[],
  verb: Answer,
  became: (states: Map<string, string>) => void,
): Promise<boolean> {
  try {
    const said = await take(api.POST('/api/alert-groups/bulk', { body: { ...verb, ids: ids.slice(0, MOST) } }));
    const states = said.items.flatMap((one) => (one.state ? ([[one.id, one.state]] as const) : []));
    became(new Map(states));
    const done = said.items.filter((one) => one.result === 'done').map((one) => one.id);
    const other = said.items.find((one) => one.result !== 'done');
    const back = BACK[verb.verb];
    if (done.length > 0) {
      const undo = back && { label: texts.undo, run: () => void answer(done, { verb: back }, became) };
      toast.ok(texts.done[verb.verb](done.length), undo);
    }
    if (other) toast.bad(texts.notDone(said.items.length - done.length), other.detail);
    return done.length > 0;
  } catch (problem) {
    toast.bad(shell.failed, problem);
    return false;
  }
}
