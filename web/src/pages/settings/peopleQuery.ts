/** Everybody of the workspace, as several pages ask for them. */
import { api, take } from '../../api/client';
import { may } from '../../api/me.svelte';
import { every } from './every';

export const peopleQuery = () => ({
  queryKey: ['people'],
  queryFn: () => every((cursor) => take(api.GET('/api/people', { params: { query: { cursor, limit: 100 } } }))),
  enabled: may('users:read'),
});
