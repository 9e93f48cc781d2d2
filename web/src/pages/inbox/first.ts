/** The control of a dialog that has the keyboard first: after the dialog itself has chosen one. */
export function first(selector: string): (node: HTMLElement) => () => void {
  return (node) => {
    const timer = setTimeout(() => node.querySelector<HTMLElement>(selector)?.focus(), 0);
    return () => clearTimeout(timer);
  };
}
