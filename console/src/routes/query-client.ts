/** How the console asks, keeps and asks again. */
import { QueryClient } from "@tanstack/react-query";
import { isApiError } from "@/api/errors";

const RETRIES = 3;
const RETRY_CAP_MS = 8_000;

/** Ask again after a lost connection or a server that is coming up; an answer that says no stays no. */
export function worthRetrying(failures: number, error: unknown): boolean {
  if (failures >= RETRIES || !isApiError(error)) return false;
  return error.kind === "offline" || [502, 503, 504].includes(error.status);
}

export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: worthRetrying,
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, RETRY_CAP_MS),
        staleTime: 5_000,
        refetchOnWindowFocus: true,
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
}
