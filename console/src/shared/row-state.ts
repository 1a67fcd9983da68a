/** How the states of generated rows are named and coloured, wherever rows are shown. */
import type { RowStatus } from "@/api/review";
import type { Tone } from "@/ui/state";

export const ROW_TONES: Record<RowStatus, Tone> = {
  accepted: "done",
  below_threshold: "warn",
  needs_review: "running",
  rejected: "failed",
};

/** The dictionary reads an underscore in a key as a plural, so the states have words of their own. */
export const ROW_WORDS = {
  accepted: "review.status.accepted",
  below_threshold: "review.status.below",
  needs_review: "review.status.needsReview",
  rejected: "review.status.rejected",
} as const;

export function isRowStatus(value: string): value is RowStatus {
  return value in ROW_WORDS;
}
