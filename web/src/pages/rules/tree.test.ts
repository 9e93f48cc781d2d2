import { describe, expect, it } from 'vitest';
import * as tree from './tree';
import type { Group } from './tree';

const q = (value: string) => ({ field: 'project', operator: 'equals', value });
const when = (root: Group) => tree.write(root).when;
/** The id of the question with this value, or of the group that begins with it (`(a`). */
function at(root: Group, name: string): number {
  for (const one of tree.walk(root)) {
    if (one.kind === 'leaf' && one.value === name) return one.id;
    const first = one.kind === 'group' ? one.members[0] : undefined;
    if (name.startsWith('(') && first?.kind === 'leaf' && first.value === name.slice(1)) return (one as Group).id;
  }
  throw new Error(name);
}
const NESTED = { all: [q('a'), { any: [q('b'), { all: [q('c'), q('d')] }] }, q('e')] };

describe('reading and writing', () => {
  it('gives back what was read', () => {
    for (const one of [{}, { all: [q('a')] }, { any: [q('a'), q('b')] }, NESTED]) {
      expect(when(tree.read(one))).toEqual(one);
    }
  });

  it('puts the any of a block with both into its all', () => {
    expect(when(tree.read({ any: [q('b')], all: [q('a')] }))).toEqual({ all: [q('a'), { any: [q('b')] }] });
  });

  it('knows the place of every node', () => {
    const root = tree.read(NESTED);
    const { places } = tree.write(root);
    expect(places.get(root.id)).toBe('');
    expect(places.get(at(root, 'a'))).toBe('all[0]');
    expect(places.get(at(root, 'd'))).toBe('all[1].any[1].all[1]');
    expect(places.get(at(root, '(c'))).toBe('all[1].any[1]');
  });

  it('reads what is no condition as empty', () => {
    expect(when(tree.read(null))).toEqual({});
    expect(when(tree.read('x'))).toEqual({});
  });
});

describe('changing', () => {
  const root = tree.read(NESTED);

  it('never changes the tree that it is given', () => {
    const before = JSON.stringify(root);
    for (const id of [...tree.walk(root)].map((one) => one.id)) {
      tree.remove(root, id);
      tree.wrap(root, id);
      tree.unwrap(root, id);
      tree.indent(root, id);
      tree.outdent(root, id);
      tree.shift(root, id, 1);
      tree.add(root, id, tree.leaf());
      tree.setMode(root, id, 'any');
    }
    expect(JSON.stringify(root)).toBe(before);
  });

  it('adds to a group, also a nested one', () => {
    const more = tree.add(root, at(root, '(c'), tree.leaf('project', 'equals', 'new'));
    expect(when(more).all?.[1]).toEqual({ any: [q('b'), { all: [q('c'), q('d'), q('new')] }] });
  });

  it('removes a question, and a group that becomes empty by it', () => {
    expect(when(tree.remove(root, at(root, 'a')))).toEqual({ all: NESTED.all.slice(1) });
    const less = tree.remove(tree.remove(root, at(root, 'c')), at(root, 'd'));
    expect(when(less)).toEqual({ all: [q('a'), { any: [q('b')] }, q('e')] });
    expect(when(tree.remove(root, at(root, '(b')))).toEqual({ all: [q('a'), q('e')] });
    const one = tree.read({ any: [q('a')] });
    expect(when(tree.remove(one, at(one, 'a')))).toEqual({});
  });

  it('changes a question and the way of a group', () => {
    expect(when(tree.change(root, at(root, 'e'), { value: 'x' })).all?.[2]).toEqual(q('x'));
    expect(when(tree.setMode(root, root.id, 'any'))).toEqual({ any: NESTED.all });
    expect(when(tree.setMode(root, at(root, '(c'), 'any')).all?.[1]).toEqual({
      any: [q('b'), { any: [q('c'), q('d')] }],
    });
  });

  it('wraps in a group of the other way, and unwraps again', () => {
    const wrapped = tree.wrap(root, at(root, 'a'));
    expect(when(wrapped).all?.[0]).toEqual({ any: [q('a')] });
    expect(when(tree.unwrap(wrapped, at(wrapped, '(a')))).toEqual({ all: [q('a'), ...NESTED.all.slice(1)] });
    expect(when(tree.wrap(root, at(root, 'b'))).all?.[1]).toEqual({
      any: [{ all: [q('b')] }, { all: [q('c'), q('d')] }],
    });
    expect(tree.unwrap(root, at(root, 'a'))).toBe(root);
  });

  it('indents into the group before it, and out again behind that group', () => {
    const inner = tree.indent(root, at(root, 'e'));
    expect(when(inner)).toEqual({ all: [q('a'), { any: [q('b'), { all: [q('c'), q('d')] }, q('e')] }] });
    expect(when(tree.outdent(inner, at(inner, 'e')))).toEqual(NESTED);
    expect(when(tree.indent(root, at(root, 'a'))).all?.[0]).toEqual({ any: [q('a')] });
    expect(tree.outdent(root, at(root, 'a'))).toBe(root);
  });

  it('takes an emptied group along when its last question moves out', () => {
    const one = tree.read({ all: [{ any: [q('a')] }, q('b')] });
    expect(when(tree.outdent(one, at(one, 'a')))).toEqual({ all: [q('a'), q('b')] });
  });

  it('moves up and down, but not beyond the ends', () => {
    expect(when(tree.shift(root, at(root, 'e'), -1)).all?.map((one) => JSON.stringify(one).includes('"e"'))).toEqual([
      false,
      true,
      false,
    ]);
    expect(when(tree.shift(root, at(root, 'e'), 1))).toEqual(NESTED);
    expect(when(tree.shift(root, at(root, 'a'), -1))).toEqual(NESTED);
  });

  it('tells how deep it is and what it asks', () => {
    expect(tree.depth(root)).toBe(3);
    expect(tree.depth(tree.read({}))).toBe(1);
    expect(tree.questions(root).map((one) => one.value)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(tree.parentOf(root, root.id)).toBeUndefined();
  });
});

describe('values', () => {
  it('follow the operator', () => {
    expect(tree.fitted('a', 'in')).toEqual(['a']);
    expect(tree.fitted('', 'in')).toEqual([]);
    expect(tree.fitted(['a', 'b'], 'equals')).toBe('a');
    expect(tree.fitted([], 'equals')).toBe('');
    expect(tree.fitted('a', 'exists')).toBe(true);
    expect(tree.fitted(false, 'exists')).toBe(false);
    expect(tree.fitted(true, 'equals')).toBe('');
  });

  it('are numbers where numbers are compared', () => {
    expect(tree.typed('5', true)).toBe(5);
    expect(tree.typed('5', false)).toBe('5');
    expect(tree.typed('five', true)).toBe('five');
    expect(tree.typed('', true)).toBe('');
  });

  it('are missing until there is one', () => {
    expect(tree.isWhole(tree.leaf('project', 'equals', ''))).toBe(false);
    expect(tree.isWhole(tree.leaf('project', 'in', []))).toBe(false);
    expect(tree.isWhole(tree.leaf('tags.', 'exists', true))).toBe(false);
    expect(tree.isWhole(tree.leaf('tags.team', 'exists', false))).toBe(true);
    expect(tree.isWhole(tree.leaf('count', 'gt', 0))).toBe(true);
  });
});
