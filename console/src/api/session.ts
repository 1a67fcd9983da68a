/** Who is signed in, and signing in and out. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Held } from "./answers";
import { http, rest, unwrap } from "./client";

export type Me = Held<"/api/me", "get">;
export type Session = Answer<"/api/v1/auth/login", "post">;
export type Credentials = Body<"/api/v1/auth/login", "post">;
export type Registration = Body<"/api/v1/auth/register", "post">;

const LIFE_KEY = "tidemill.session";

interface SessionLife {
  issuedS: number;
  expiresS: number;
}

/** Issue and expiry times of a session token (a JWT), or null where it has none. */
export function lifeOf(token: string): SessionLife | null {
  const part = token.split(".")[1];
  if (part === undefined) return null;
  try {
    const claims: unknown = JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof claims !== "object" || claims === null) return null;
    const { iat, exp } = claims as { iat?: unknown; exp?: unknown };
    return typeof iat === "number" && typeof exp === "number" ? { issuedS: iat, expiresS: exp } : null;
  } catch {
    return null; // Not a JWT; such a session is simply never renewed.
  }
}

/** The cookie cannot be read, so its times are noted beside it; the token itself is kept nowhere. */
function noteLife(token: string): void {
  const life = lifeOf(token);
  if (life) localStorage.setItem(LIFE_KEY, JSON.stringify(life));
}

function notedLife(): SessionLife | null {
  const noted = localStorage.getItem(LIFE_KEY);
  if (noted === null) return null;
  try {
    return JSON.parse(noted) as SessionLife;
  } catch {
    localStorage.removeItem(LIFE_KEY);
    return null;
  }
}

export function pastHalfLife(life: SessionLife, nowS: number): boolean {
  return nowS > (life.issuedS + life.expiresS) / 2 && nowS < life.expiresS;
}

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: () => unwrap(http.GET("/api/me")),
  staleTime: 30_000,
  retry: false,
});

export async function signIn(credentials: Credentials): Promise<Session> {
  const session = await rest(http.POST("/api/v1/auth/login", { body: credentials }));
  noteLife(session.token);
  return session;
}

export async function register(registration: Registration): Promise<Session> {
  const session = await rest(http.POST("/api/v1/auth/register", { body: registration }));
  noteLife(session.token);
  return session;
}

export async function signOut(): Promise<void> {
  await rest(http.POST("/api/logout"));
  localStorage.removeItem(LIFE_KEY);
}

/** Exchange a session past half its life for a fresh one. Does nothing before that. */
export async function renewSession(): Promise<void> {
  const life = notedLife();
  if (!life || !pastHalfLife(life, Date.now() / 1000)) return;
  const session = await rest(http.POST("/api/v1/auth/refresh"));
  noteLife(session.token);
}

export async function changePassword(body: Body<"/api/v1/auth/password", "post">): Promise<void> {
  await rest(http.POST("/api/v1/auth/password", { body }));
}
