/** Types of what each path answers, taken from the generated document so that a renamed field fails the build. */
import type { paths } from "./schema";

type Json<R> = R extends { content: { "application/json": infer Body } } ? Body : never;
type Good<R> = { [Status in keyof R]: Status extends 200 | 201 | 202 ? Json<R[Status]> : never }[keyof R];

/** The plain JSON body of a successful answer. */
export type Answer<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends { responses: infer R }
  ? Good<R>
  : never;

/** The same without the envelope. */
export type Held<P extends keyof paths, M extends keyof paths[P]> =
  Answer<P, M> extends { data?: infer Data } ? NonNullable<Data> : never;

export type Item<L> = L extends { items: (infer T)[] } ? T : never;

/** The JSON body a path takes. */
export type Body<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends {
  requestBody?: { content: { "application/json": infer B } };
}
  ? B
  : never;

export type Query<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends {
  parameters: { query?: infer Q };
}
  ? NonNullable<Q>
  : never;
