/** Where to go after signing in: a place of this console, never another site. */
export function safeNext(next: unknown): string {
  if (typeof next !== "string" || !next.startsWith("/") || next.startsWith("//")) return "/";
  // A backslash or a control character is read as a slash by some browsers.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\\\u0000-\u001f]/.test(next)) return "/";
  return next.startsWith("/sign-in") || next.startsWith("/register") ? "/" : next;
}
