/**
 * The conditions of a rule while they are edited: a tree of groups and questions, each under a number of its own.
 *
 * Nothing here changes a tree: every operation gives a new one. The appliance's form, `{"all": […], "any": […]}`, is
 * read by `read` and written by `write`; where a block has both, the tree has the `any` as a group within the `all`.
 */

export type Scalar = string | number | boolean;
export type Value = Scalar | Scalar[];
export type Mode = 'all' | 'any';

export interface Leaf {
  id: number;
  kind: 'leaf';
  field: string;
  operator: string;
  value: Value;
}

export interface Group {
  id: number;
  kind: 'group';
  mode: Mode;
  members: Node[];
}

export type Node = Leaf | Group;

/** The appliance's form of conditions. */
export interface Block {
  all?: unknown[];
  any?: unknown[];
}

export const LISTS = ['in', 'not_in'];
export const TAG = 'tags.';

let last = 0;
const fresh = () => ++last;

export const leaf = (field = 'environment', operator = 'equals', value: Value = ''): Leaf => ({
  id: fresh(),
  kind: 'leaf',
  field,
  operator,
  value,
});

export const group = (mode: Mode = 'all', members: Node[] = []): Group => ({
  id: fresh(),
  kind: 'group',
  mode,
  members,
});

/** The tree of conditions. */
export function read(when: unknown): Group {
  const block = (typeof when === 'object' && when !== null ? when : {}) as Block;
  const all = (block.all ?? []).map(member);
  const any = (block.any ?? []).map(member);
  if (!any.length) return group('all', all);
  return all.length ? group('all', [...all, group('any', any)]) : group('any', any);
}

function member(raw: unknown): Node {
  const said = (typeof raw === 'object' && raw !== null ? raw : {}) as Partial<Leaf> & Block;
  if (!('field' in said || 'operator' in said)) return read(said);
  return leaf(said.field ?? '', said.operator ?? 'equals', said.value ?? (said.operator === 'exists' ? true : ''));
}

/** The conditions of a tree, and where in them each of its nodes stands (`all[0].any[1]`; the root is ""). */
export function write(root: Group): { when: Block; places: Map<number, string> } {
  const places = new Map<number, string>([[root.id, '']]);
  const block = (of: Group, path: string): Block =>
    of.members.length
      ? {
          [of.mode]: of.members.map((one, i) => {
            const here = `${path ? `${path}.` : ''}${of.mode}[${i}]`;
            places.set(one.id, here);
            return one.kind === 'group'
              ? block(one, here)
              : { field: one.field, operator: one.operator, value: one.value };
          }),
        }
      : {};
  return { when: block(root, ''), places };
}

/** Every node, a group before its members. */
export function* walk(node: Node): Generator<Node> {
  yield node;
  if (node.kind === 'group') for (const one of node.members) yield* walk(one);
}

export const find = (root: Group, id: number): Node | undefined => [...walk(root)].find((one) => one.id === id);

/** The group that holds a node; undefined for the root and for what is not there. */
export const parentOf = (root: Group, id: number): Group | undefined =>
  [...walk(root)].find((one): one is Group => one.kind === 'group' && one.members.some((m) => m.id === id));

export const questions = (root: Group): Leaf[] => [...walk(root)].filter((one): one is Leaf => one.kind === 'leaf');

/** How deep groups nest: 1 for the root alone. */
export const depth = (of: Group): number =>
  1 + Math.max(0, ...of.members.map((one) => (one.kind === 'group' ? depth(one) : 0)));

function over(of: Group, id: number, change: (members: Node[], at: number) => Node[]): Group {
  const at = of.members.findIndex((one) => one.id === id);
  if (at >= 0) return { ...of, members: change(of.members, at) };
  return { ...of, members: of.members.map((one) => (one.kind === 'group' ? over(one, id, change) : one)) };
}

/** Groups that became empty go; the root stays. */
const pruned = (of: Group): Group => ({
  ...of,
  members: of.members
    .map((one) => (one.kind === 'group' ? pruned(one) : one))
    .filter((one) => one.kind === 'leaf' || one.members.length > 0),
});

export function add(root: Group, into: number, node: Node): Group {
  if (root.id === into) return { ...root, members: [...root.members, node] };
  return {
    ...root,
    members: root.members.map((one) => (one.kind === 'group' ? add(one, into, node) : one)),
  };
}

export const remove = (root: Group, id: number): Group =>
  pruned(over(root, id, (members, at) => members.toSpliced(at, 1)));

export function change(root: Group, id: number, how: Partial<Omit<Leaf, 'id' | 'kind'>>): Group {
  return over(root, id, (members, at) => members.with(at, { ...(members[at] as Leaf), ...how }));
}

export function setMode(root: Group, id: number, mode: Mode): Group {
  if (root.id === id) return { ...root, mode };
  return over(root, id, (members, at) => members.with(at, { ...(members[at] as Group), mode }));
}

export const other = (mode: Mode): Mode => (mode === 'all' ? 'any' : 'all');

/** A node in a group of its own, where one of several must hold, or all: the other way than around it. */
export function wrap(root: Group, id: number): Group {
  const mode = other(parentOf(root, id)?.mode ?? 'all');
  return over(root, id, (members, at) => members.with(at, group(mode, [members[at] as Node])));
}

/** A group's members in its place. */
export function unwrap(root: Group, id: number): Group {
  const found = find(root, id);
  if (found?.kind !== 'group') return root;
  return over(root, id, (members, at) => members.toSpliced(at, 1, ...found.members));
}

/** Into the group before it; where there is none, into one of its own. */
export function indent(root: Group, id: number): Group {
  const parent = parentOf(root, id);
  const at = parent?.members.findIndex((one) => one.id === id) ?? -1;
  const before = parent?.members[at - 1];
  const node = parent?.members[at];
  if (before?.kind !== 'group' || !node) return wrap(root, id);
  return add(
    over(root, id, (members, i) => members.toSpliced(i, 1)),
    before.id,
    node,
  );
}

/** Out of its group, behind it. What stands in no group but the root stays. */
export function outdent(root: Group, id: number): Group {
  const parent = parentOf(root, id);
  const node = parent?.members.find((one) => one.id === id);
  if (!parent || !node || parent.id === root.id) return root;
  const without = over(root, id, (members, at) => members.toSpliced(at, 1));
  return pruned(over(without, parent.id, (members, at) => members.toSpliced(at + 1, 0, node)));
}

/** One place up (-1) or down (1) among its own. */
export function shift(root: Group, id: number, by: -1 | 1): Group {
  return over(root, id, (members, at) => {
    const to = at + by;
    if (to < 0 || to >= members.length) return members;
    return members.toSpliced(at, 1).toSpliced(to, 0, members[at] as Node);
  });
}

/** Whether a question says all that it must: what cannot be meant by it the appliance tells. */
export function isWhole({ field, operator, value }: Leaf): boolean {
  if (!field || field === TAG) return false;
  if (operator === 'exists') return true;
  return Array.isArray(value) ? value.length > 0 : value !== '';
}

/** A value as another operator takes it: one of a list, a list of one, true or false. */
export function fitted(value: Value, operator: string): Value {
  if (operator === 'exists') return typeof value === 'boolean' ? value : true;
  const plain: Value = typeof value === 'boolean' ? '' : value;
  if (LISTS.includes(operator)) return Array.isArray(plain) ? plain : plain === '' ? [] : [plain];
  return Array.isArray(plain) ? (plain[0] ?? '') : plain;
}

/** What was typed as a value: a number where numbers are compared and it is one. */
export function typed(text: string, numeric: boolean): Scalar {
  return numeric && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}
