/** Who may give which role: only owners reach owners (the appliance holds requests against the same rule). */
export type Role = 'owner' | 'admin' | 'member' | 'viewer';

export const ROLES: Role[] = ['owner', 'admin', 'member', 'viewer'];

/** The roles that somebody in this role may give, take away, and act upon. */
export function reach(role: Role | undefined): Role[] {
  if (role === 'owner') return ROLES;
  return role === 'admin' ? ROLES.filter((one) => one !== 'owner') : [];
}
