/** Numbers as people read them. */

/** `04:17`, or `1:04:17` from an hour on. */
export function elapsed(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole < 3600 ? minutes : `${Math.floor(whole / 3600)}:${minutes}`;
}

/** `0:12`: what is left, begun seconds counted whole. */
export function remaining(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** `less than a second`, `12 seconds`, `1 minute`, `31 minutes`, `1 hour 5 minutes`: as part of a sentence. */
export function duration(seconds: number): string {
  const count = (n: number, unit: string) => `${n} ${unit}${n === 1 ? '' : 's'}`;
  const whole = Math.max(0, Math.round(seconds));
  if (whole === 0) return 'less than a second';
  if (whole < 60) return count(whole, 'second');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return count(minutes, 'minute');
  const rest = minutes % 60;
  return count(Math.floor(minutes / 60), 'hour') + (rest === 0 ? '' : ` ${count(rest, 'minute')}`);
}

/** `0 kbit/s`, `640 kbit/s`, `1.4 Mbit/s`. */
export function bitrate(bitsPerSecond: number): string {
  const kilo = Math.round(Math.max(0, bitsPerSecond) / 1000);
  return kilo < 1000 ? `${kilo} kbit/s` : `${(kilo / 1000).toFixed(1)} Mbit/s`;
}

/** `0 %`, `0.4 %`, `12 %` of packets. */
export function loss(perMille: number): string {
  const percent = perMille / 10;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

/** `bob`, `bob and chiara`, `bob, chiara and daniel`: everybody. */
export function list(users: readonly string[]): string {
  const last = users[users.length - 1] ?? '';
  return users.length <= 1 ? last : `${users.slice(0, -1).join(', ')} and ${last}`;
}

/** `bob`, `bob and chiara`, `bob, chiara and 2 others`. */
export function names(users: readonly string[]): string {
  const [first = '', second] = users;
  if (users.length <= 1) return first;
  if (users.length === 2) return `${first} and ${second ?? ''}`;
  const others = users.length - 2;
  return `${first}, ${second ?? ''} and ${others} ${others === 1 ? 'other' : 'others'}`;
}
