/* eslint-disable svelte/prefer-svelte-reactivity -- what is shown is replaced as a whole, which costs less with 5,000 rows */
/** The last day of the rows that are on the screen, read a screen at a time. */
import { api, take, type Schemas } from '../../api/client';
import { bars } from '../../parts/bars';

const MOST = 100;
/** How long counts are good: the bars are hours. */
const GOOD_MS = 60_000;
/** Scrolling goes on for a while: rows that only rush by are not asked about. */
const SPACE_MS = 150;

/** Width and height in pixels. */
export const SPARK = [72, 20] as const;

export interface Spark {
  path: string;
  sum: number;
}
interface Known {
  spark: Spark;
  at: number;
  /** The group's count when it was read: another one means that there is more. */
  count: number;
}

export class Sparks {
  #known = $state.raw(new Map<string, Known>());
  #wanted: Schemas['GroupOut'][] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #under = false;
  /** Other rows came to the screen while some were being read. */
  #later = false;

  of(id: string): Spark | null {
    return this.#known.get(id)?.spark ?? null;
  }

  /** These rows are on the screen now. */
  want(rows: Schemas['GroupOut'][]): void {
    this.#wanted = rows;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#read();
    }, SPACE_MS);
  }

  async #read(): Promise<void> {
    const now = Date.now();
    const lacking = this.#wanted.filter((row) => {
      const known = this.#known.get(row.id);
      return !known || now - known.at > GOOD_MS || (known.count !== row.count && now - known.at > GOOD_MS / 6);
    });
    if (lacking.length === 0) return;
    if (this.#under) {
      this.#later = true;
      return;
    }
    this.#under = true;
    const asked = lacking.slice(0, MOST);
    try {
      const query = { ids: [asked.map((row) => row.id).join(',')] };
      const said = await take(api.GET('/api/alert-groups/sparklines', { params: { query } }));
      const next = new Map(this.#known);
      const counts = new Map(asked.map((row) => [row.id, row.count]));
      for (const one of said.items) {
        const spark = { path: bars(one.counts, ...SPARK), sum: one.counts.reduce((sum, n) => sum + n, 0) };
        next.set(one.id, { spark, at: now, count: counts.get(one.id) ?? 0 });
      }
      this.#known = next;
    } catch {
      // Without them the rows say everything else; the next scroll asks again.
    } finally {
      this.#under = false;
      if (this.#later) {
        this.#later = false;
        this.want(this.#wanted);
      }
    }
  }
}
