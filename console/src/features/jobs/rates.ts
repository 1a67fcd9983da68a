/** How fast each queue has been, as far as this page has watched. Pure. */
import type { Queue } from "@/api/queues";

export type Rates = ReadonlyMap<string, readonly number[]>;
export const NO_RATES: Rates = new Map();
export const KEPT = 60;

export function addRates(before: Rates, queues: readonly Pick<Queue, "name" | "rate_per_s">[]): Rates {
  return new Map(
    queues.map((queue) => [queue.name, [...(before.get(queue.name) ?? []), queue.rate_per_s].slice(-KEPT)]),
  );
}
