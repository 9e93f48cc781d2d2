/** What the appliance says to everybody: its version, how one signs in, and how this connection came. */
import { createQuery } from '@tanstack/svelte-query';
import { api, take } from '../api/client';

export function signInState() {
  return createQuery(() => ({
    queryKey: ['sign-in-state'],
    queryFn: () => take(api.GET('/api/auth/state')),
    staleTime: Infinity,
  }));
}
