/** The cache of what the appliance said. The live stream changes it; while the stream lives nothing polls. */
import { QueryClient } from '@tanstack/svelte-query';
import { ApiFault } from './client';
import { live } from '../live/live.svelte';

/** Without the stream, lists are read anew this often. */
const POLL_MS = 20_000;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      gcTime: 5 * 60_000,
      // What the appliance refused it refuses again; only silence and its own faults are worth another try.
      retry: (count, problem) =>
        count < 2 && problem instanceof ApiFault && (problem.status === 0 || problem.status >= 500),
      retryDelay: (count) => 1000 * 2 ** count,
      refetchOnWindowFocus: true,
      refetchInterval: () => (live.state === 'lost' ? POLL_MS : false),
      networkMode: 'always',
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});
