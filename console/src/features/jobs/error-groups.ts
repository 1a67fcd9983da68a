/** Dead letters sorted by what went wrong: type and error code. Pure. */
import type { Job } from "@/api/jobs";

export interface ErrorGroup {
  type: string;
  code: string;
  count: number;
  /** When the newest of them ended, and what it said. */
  lastAt: string | null;
  message: string;
}

export function groupErrors(jobs: readonly Job[]): ErrorGroup[] {
  const groups = new Map<string, ErrorGroup>();
  for (const job of jobs) {
    const code = job.error?.code ?? "";
    const key = `${job.type}\n${code}`;
    const group = groups.get(key) ?? { type: job.type, code, count: 0, lastAt: null, message: "" };
    group.count += 1;
    if (group.lastAt === null || (job.finished_at !== null && job.finished_at > group.lastAt)) {
      group.lastAt = job.finished_at;
      group.message = job.error?.message ?? "";
    }
    groups.set(key, group);
  }
  return [...groups.values()].sort((one, other) => other.count - one.count || one.type.localeCompare(other.type));
}
