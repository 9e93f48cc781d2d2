/** Where one goes on after signing in: where one was, and nowhere else. */

/** Pages for people who are not signed in: nobody goes back to them. */
const DOORS = ['/sign-in', '/setup', '/join', '/reset'];
const HOME = '/';

/** The path that `?next=` of an address names, if it is one of this site; else the overview. */
export function nextOf(search: string, origin: string): string {
  const said = new URLSearchParams(search).get('next') ?? '';
  // A browser reads `//host`, `/\host` and a tab in between as another site's address.
  if (!said.startsWith('/') || /^\/[/\\]|[\u0000-\u001f\\]/.test(said)) return HOME;
  try {
    const url = new URL(said, origin);
    if (url.origin !== origin || DOORS.includes(url.pathname)) return HOME;
    return url.pathname + url.search + url.hash;
  } catch {
    return HOME;
  }
}

/** The address of the sign-in page for somebody who was at this place. */
export function signInFor(at: { pathname: string; search: string; hash: string }): string {
  const path = at.pathname + at.search + at.hash;
  return path === HOME || DOORS.includes(at.pathname) ? '/sign-in' : `/sign-in?next=${encodeURIComponent(path)}`;
}
