/** Whether a key opens anything. */
export function stateOf(
  key: { revoked_at: string | null; expires_at: string | null },
  now: number,
): 'works' | 'revoked' | 'expired' {
  if (key.revoked_at) return 'revoked';
  return key.expires_at && Date.parse(key.expires_at) <= now ? 'expired' : 'works';
}

export const LASTS = ['30', '90', '365', 'never'] as const;
export type Lasts = (typeof LASTS)[number];

/** When a key that is made now ends; null for never. */
export function endOf(lasts: Lasts, now: number): string | null {
  return lasts === 'never' ? null : new Date(now + Number(lasts) * 86_400_000).toISOString();
}
