/** One rule in the editor: what is shown, what was stored, and where the appliance found fault with it. */
import type { FieldFault } from '../../api/client';
import type { Vocabulary } from './asking';
import { EMPTY, formOf, same, type Form, type Rule } from './draft';
import * as tree from './tree';

const ROOTED = /^(?:rule|rules\[0\])\./;

export class Editing {
  /** The id of the stored rule; null for a new one. */
  id = $state<string | null>(null);
  /** The version that was read. */
  tag = '*';
  root = $state.raw<tree.Group>(tree.group());
  /** Everything but the conditions. */
  rest = $state.raw<Form>(EMPTY);
  stored = $state.raw<Form>(EMPTY);
  /** What the last save, and the last check of the conditions, were refused for. */
  saveFaults = $state.raw<FieldFault[]>([]);
  checkFaults = $state.raw<FieldFault[]>([]);

  /** What was written as text and could not be taken yet: it is neither lost nor saved over. */
  text = $state.raw<{ kind: 'json' | 'toml'; text: string } | null>(null);
  /** What the check of the conditions says, in short. */
  says = $state('');

  written = $derived(tree.write(this.root));
  form = $derived<Form>({ ...this.rest, when: this.written.when });
  dirty = $derived(this.text !== null || !same(this.form, this.stored));
  unfinished = $derived(tree.questions(this.root).filter((one) => !tree.isWhole(one)).length);

  constructor(
    readonly words: Vocabulary,
    readonly write: boolean,
  ) {}

  /** Throws away what was changed. */
  discard(): void {
    this.text = null;
    this.take(this.stored);
  }

  /** Shows a stored rule. */
  opened(rule: Rule, tag: string): void {
    this.id = rule.id;
    this.tag = tag;
    this.stored = this.normal(formOf(rule));
    this.discard();
  }

  /** Shows what a person wrote elsewhere, or came back to. The conditions stay what they are where they say the same. */
  take(form: Form): void {
    this.rest = { ...form, priority: null };
    if (!same({ ...EMPTY, when: this.written.when }, { ...EMPTY, when: this.normal(form).when })) {
      this.root = tree.read(form.when);
    }
    this.saveFaults = [];
  }

  set(how: Partial<Form>): void {
    this.rest = { ...this.rest, ...how };
    const touched = Object.keys(how);
    this.saveFaults = this.saveFaults.filter((one) => !touched.includes(one.path.replace(/[.[].*$/, '')));
  }

  grow(root: tree.Group): void {
    this.root = root;
    this.saveFaults = this.saveFaults.filter((one) => !one.path.startsWith('when'));
    this.checkFaults = [];
  }

  /** A form whose conditions are written as the tree writes them. */
  normal(form: Form): Form {
    return { ...form, when: tree.write(tree.read(form.when)).when };
  }

  /** What is wrong with a setting, or with anything in it. */
  wrong(name: string): string {
    const found = this.saveFaults.find((one) => one.path === name || one.path.startsWith(`${name}[`));
    return found?.message ?? '';
  }

  /** What is wrong with a node of the conditions. */
  wrongAt(id: number): string {
    const place = this.written.places.get(id);
    if (place === undefined) return '';
    const own = place ? `when.${place}` : 'when';
    const all = [...this.saveFaults, ...this.checkFaults];
    const found = all.find((one) => one.path === own || ['.field', '.operator', '.value'].includes(cut(one.path, own)));
    return found?.message ?? '';
  }

  /** Why nothing can be added below a group; an empty text where it can. */
  depthOf(id: number): number {
    let depth = 1;
    for (let at = tree.parentOf(this.root, id); at; at = tree.parentOf(this.root, at.id)) depth++;
    return depth;
  }
}

function cut(path: string, start: string): string {
  return path.startsWith(start) ? path.slice(start.length).replace(/\[\d+\]$/, '') : path;
}

/** Faults by the path in the rule itself, wherever in a request the rule stood. */
export function within(faults: FieldFault[]): FieldFault[] {
  return faults.map((one) => ({ ...one, path: one.path.replace(ROOTED, '') }));
}
