/** Reading channels. */
import { api, take, type Schemas } from '../../api/client';

export type Channel = Schemas['ChannelOut'];
export type Made = Schemas['ChannelMade'];

/** Every channel: there are few enough to be read whole. */
export async function everyChannel(): Promise<Channel[]> {
  const found: Channel[] = [];
  let cursor: string | undefined;
  do {
    const page = await take(api.GET('/api/channels', { params: { query: { limit: 100, cursor } } }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  return found;
}
