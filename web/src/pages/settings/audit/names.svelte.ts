/** Names of the people of the workspace, for rows that say ids alone. */
import { createQuery } from '@tanstack/svelte-query';
import { peopleQuery } from '../peopleQuery';

/** A look at them, name by id; empty until they are known. Called while a component is made. */
export function names(): () => ReadonlyMap<string, string> {
  const people = createQuery(peopleQuery);
  // Made anew whenever they are read anew; nobody changes it.
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  const known = $derived(new Map(people.data?.items.map((one) => [one.id, one.name])));
  return () => known;
}
