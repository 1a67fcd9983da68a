/** Dictionary keys of words that come from the server. */
export const STRATEGY_WORDS = {
  weighted: "rules.strategies.weighted",
  round_robin: "rules.strategies.round_robin",
  random: "rules.strategies.random",
  least_in_flight: "rules.strategies.least_in_flight",
  lowest_latency: "rules.strategies.lowest_latency",
  least_errors: "rules.strategies.least_errors",
  lowest_price: "rules.strategies.lowest_price",
  consistent_hash: "rules.strategies.consistent_hash",
} as const;
