/** Who is signed in here, and what they may do. */
import { api, ApiFault, hooks, take, type Schemas } from './client';

export type Me = Schemas['Me'];

class Session {
  /** asking: not known yet; out: nobody is signed in; unreachable: the appliance did not answer. */
  state = $state<'asking' | 'in' | 'out' | 'unreachable'>('asking');
  now = $state.raw<Me | null>(null);
  fault = $state.raw<ApiFault | null>(null);
  /** A session was there and ended while this page was open. */
  ended = $state(false);

  constructor() {
    hooks.onSignedOut = () => this.left(true);
  }

  async ask(): Promise<void> {
    try {
      this.became(await take(api.GET('/api/auth/me')));
    } catch (problem) {
      if (!(problem instanceof ApiFault)) throw problem;
      this.fault = problem;
      if (problem.status === 401) this.left(true);
      else if (this.now === null) this.state = 'unreachable';
    }
  }

  became(who: Me): void {
    hooks.csrfToken = who.csrf_token;
    this.now = who;
    this.state = 'in';
    this.fault = null;
    this.ended = false;
  }

  left(byItself: boolean): void {
    hooks.csrfToken = '';
    // Several requests may learn of the end at once: the first one's word holds.
    if (this.now !== null || !byItself) this.ended = byItself;
    this.now = null;
    this.state = 'out';
  }
}

export const me = new Session();

/** Whether the person who is signed in may do this (`alerts:write`). The appliance asks again at each request. */
export function may(access: string): boolean {
  return me.now?.access.includes(access) ?? false;
}
