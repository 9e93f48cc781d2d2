/** Keys that do something, and the list of them that `?` shows. A page's own come before the shell's. */
import { untrack } from 'svelte';
import { texts } from '../texts/shell';

export interface Key {
  /** As KeyboardEvent.key says it (`j`, `Enter`, `?`), or two of them one after the other (`g i`). */
  keys: string;
  label: string;
  run: (event: KeyboardEvent) => void;
}

const SECOND_MS = 1_200;

class Keys {
  layers = $state.raw<{ title: string; keys: () => Key[] }[]>([]);
  helpOpen = $state(false);
  #first = '';
  #firstAt = 0;

  add(title: string, keys: () => Key[]): () => void {
    const layer = { title, keys };
    // Whoever adds keys in an effect does not want to be called again when somebody else does.
    untrack(() => (this.layers = [...this.layers, layer]));
    return () => untrack(() => (this.layers = this.layers.filter((one) => one !== layer)));
  }

  press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (document.querySelector('[role="dialog"], [role="menu"], [role="alertdialog"]')) return;
    const pair = Date.now() - this.#firstAt < SECOND_MS ? `${this.#first} ${event.key}` : '';
    const all = [...this.layers].reverse().flatMap((layer) => layer.keys());
    const found = all.find((one) => one.keys === pair) ?? all.find((one) => one.keys === event.key);
    this.#first = '';
    if (found) {
      event.preventDefault();
      found.run(event);
    } else if (all.some((one) => one.keys.startsWith(`${event.key} `))) {
      this.#first = event.key;
      this.#firstAt = Date.now();
    }
  }
}

function isTyping(event: KeyboardEvent): boolean {
  const at = event.target as HTMLElement | null;
  if (!at) return false;
  if (at.isContentEditable || at.tagName === 'TEXTAREA' || at.tagName === 'SELECT') return true;
  if (at.tagName === 'INPUT') return !['checkbox', 'radio', 'button'].includes((at as HTMLInputElement).type);
  // Enter and Space belong to the button or link that has the focus.
  return (event.key === 'Enter' || event.key === ' ') && ['BUTTON', 'A'].includes(at.tagName);
}

export const keys = new Keys();

/** Keys of the page that calls this, while it is shown. */
export function useKeys(list: () => Key[], title: string = texts.keys.here): void {
  $effect(() => keys.add(title, list));
}
