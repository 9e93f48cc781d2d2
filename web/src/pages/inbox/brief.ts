const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** `987`, `1.2K`, `3.4M`. */
export function brief(n: number): string {
  return n < 1000 ? String(n) : short.format(n);
}
