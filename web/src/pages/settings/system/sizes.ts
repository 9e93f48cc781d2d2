/** Sizes as people read them. */
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `1.4 GB`, by thousands as disks are sold. */
export function size(bytes: number): string {
  let step = 0;
  let left = bytes;
  while (left >= 999.5 && step < UNITS.length - 1) {
    left /= 1000;
    step += 1;
  }
  return `${step === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${UNITS[step]}`;
}

/** `+02:00` of minutes east of UTC. */
export function offset(minutes: number): string {
  const [sign, all] = minutes < 0 ? ['−', -minutes] : ['+', minutes];
  return `${sign}${String(Math.floor(all / 60)).padStart(2, '0')}:${String(all % 60).padStart(2, '0')}`;
}
