/** How a person without a picture looks: initials on a colour of their own, the same on every computer. */

/** White text on each has a contrast of 4.5:1 or more. */
export const AVATAR_COLORS = [
  '#0b7a5e',
  '#b8400e',
  '#2359d1',
  '#9a1fae',
  '#56657a',
  '#6d43d6',
  '#b0235f',
  '#0b7285',
  '#8a5a00',
] as const;

export function avatarColor(user: string): string {
  let hash = 2166136261;
  for (const char of user) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619) >>> 0;
  // Folded: the last bits alone hardly differ between short names.
  hash = (hash ^ (hash >>> 16)) >>> 0;
  return AVATAR_COLORS[hash % AVATAR_COLORS.length] ?? AVATAR_COLORS[0];
}

/** `bob` BO, `anna-lee` AL, `x` X. */
export function initials(user: string): string {
  const words = user.split(/[-_]+/).filter(Boolean);
  const letters = words.length > 1 ? words.slice(0, 2).map((word) => word[0]) : [...(words[0] ?? '')].slice(0, 2);
  return letters.join('').toUpperCase();
}

/** 1 to 32 characters of `A-Z a-z 0-9 _ -`. */
export function isUserId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,32}$/.test(text);
}
