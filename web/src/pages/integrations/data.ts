/** Reading integrations and their kinds. */
import { createQuery } from '@tanstack/svelte-query';
import { api, take, type Schemas } from '../../api/client';

export type Integration = Schemas['IntegrationOut'];
export type Made = Schemas['IntegrationMade'];

/** Every integration: there are few enough to be read whole. */
export async function everyIntegration(): Promise<Integration[]> {
  const found: Integration[] = [];
  let cursor: string | undefined;
  do {
    const page = await take(api.GET('/api/integrations', { params: { query: { limit: 100, cursor } } }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}

/** What can be configured; it does not change while the program runs. */
export const kindsQuery = () =>
  createQuery(() => ({ queryKey: ['kinds'], queryFn: () => take(api.GET('/api/kinds')), staleTime: Infinity }));
