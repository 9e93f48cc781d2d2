/** The bars of a sparkline as one path: a list shows hundreds of them. `counts`: the oldest first. */
export function bars(counts: number[], width: number, height: number): string {
  const most = Math.max(1, ...counts);
  const step = width / Math.max(1, counts.length);
  return counts
    .map((count, n) => {
      const tall = Math.max(2, (count / most) * height);
      return count > 0 ? `M${n * step} ${height}v${-tall}h${Math.max(1, step - 1)}v${tall}z` : '';
    })
    .join('');
}
