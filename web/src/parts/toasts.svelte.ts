/** Short messages about what was just done, at the edge of the screen. */
import { ApiFault } from '../api/client';
import { texts } from '../texts/shell';

export interface Toast {
  id: number;
  kind: 'ok' | 'bad';
  text: string;
  detail: string;
  /** What takes it back, or leads on. */
  action?: { label: string; run: () => void };
}

const STAYS_MS = 6_000;
const MOST = 4;

class Toasts {
  all = $state<Toast[]>([]);
  #next = 1;

  ok(text: string, action?: Toast['action']): void {
    this.#show({ kind: 'ok', text, detail: '', action });
  }

  /** Says what did not work, in the appliance's words. It stays until it is dismissed. */
  bad(text: string, problem?: unknown): void {
    const detail = problem instanceof ApiFault ? problem.detail || problem.title : problem ? String(problem) : '';
    const wait = problem instanceof ApiFault && problem.retryAfterS ? ` ${texts.retryIn(problem.retryAfterS)}` : '';
    this.#show({ kind: 'bad', text, detail: detail + wait });
  }

  drop(id: number): void {
    this.all = this.all.filter((one) => one.id !== id);
  }

  #show(toast: Omit<Toast, 'id'>): void {
    const id = this.#next++;
    this.all = [...this.all.slice(1 - MOST), { id, ...toast }];
    if (toast.kind === 'ok') setTimeout(() => this.drop(id), STAYS_MS);
  }
}

export const toast = new Toasts();
