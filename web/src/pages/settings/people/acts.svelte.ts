/** What may be done about a person, each with its words afterwards. */
import { api, take, type Schemas } from '../../../api/client';
import { queries } from '../../../api/queries';
import { saved } from '../saved';
import { toast } from '../../../parts/toasts.svelte';
import { texts } from '../../../texts/settings';
import type { Role } from './roles';

export type Member = Schemas['MemberOut'];

const words = texts.people;

export class Acts {
  /** Whom something is done about just now. */
  busy = $state('');

  async role(one: Member, role: Role): Promise<boolean> {
    const params = { path: { id: one.id } };
    const done = await this.#done(one, words.changeFailed, () =>
      take(api.PATCH('/api/people/{id}', { params, body: { role, disabled: null } })),
    );
    if (done) toast.ok(words.changed(one.name, texts.roles[role] ?? role));
    return done !== null;
  }

  async disabled(one: Member, disabled: boolean): Promise<boolean> {
    const params = { path: { id: one.id } };
    const done = await this.#done(one, words.failed, () =>
      take(api.PATCH('/api/people/{id}', { params, body: { role: null, disabled } })),
    );
    if (done) toast.ok(disabled ? words.disabledNow(one.name) : words.enabledNow(one.name));
    return done !== null;
  }

  async unlock(one: Member): Promise<boolean> {
    const params = { path: { id: one.id } };
    const done = await this.#done(one, words.failed, async () => {
      await take(api.POST('/api/people/{id}/unlock', { params }));
      return true;
    });
    if (done) toast.ok(words.unlockedNow(one.name));
    return done !== null;
  }

  async remove(one: Member): Promise<boolean> {
    const params = { path: { id: one.id } };
    const done = await this.#done(one, words.failed, async () => {
      await take(api.DELETE('/api/people/{id}', { params }));
      return true;
    });
    if (done) toast.ok(words.removedNow(one.name));
    return done !== null;
  }

  link(one: Member, second: boolean): Promise<Schemas['LinkMade'] | null> {
    const params = { path: { id: one.id } };
    return this.#done(one, words.failed, () =>
      take(api.POST('/api/people/{id}/reset-link', { params, body: { second_factor: second } })),
    );
  }

  async download(one: Member): Promise<void> {
    const params = { path: { id: one.id } };
    const told = await this.#done(one, words.failed, () => take(api.POST('/api/people/{id}/export', { params })));
    if (!told) return;
    saved(`${one.email}.json`, JSON.stringify(told, null, 2), 'application/json');
    toast.ok(words.exportedNow(one.name));
  }

  async #done<T>(one: Member, failed: string, work: () => Promise<T>): Promise<T | null> {
    this.busy = one.id;
    try {
      return await work();
    } catch (problem) {
      toast.bad(failed, problem);
      return null;
    } finally {
      this.busy = '';
      void queries.invalidateQueries({ queryKey: ['people'] });
      void queries.invalidateQueries({ queryKey: ['invitations'] });
    }
  }
}
