/** Lists that are shown whole although the appliance tells them in pages. */
interface Part<T> {
  items: T[];
  next?: string | null;
}

const PAGES_MOST = 50;

/** Every item, page after page; `more` where there are more than anybody scrolls through. */
export async function every<T>(
  page: (cursor: string | undefined) => Promise<Part<T>>,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let n = 0; n < PAGES_MOST; n++) {
    const part = await page(cursor);
    items.push(...part.items);
    if (!part.next) return { items, more: false };
    cursor = part.next;
  }
  return { items, more: true };
}
