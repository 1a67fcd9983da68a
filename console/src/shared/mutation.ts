/** Writes: a toast when they fail, lists refreshed when they succeed. */
import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { isApiError } from "@/api/errors";
import { notify } from "./notify";

export interface WriteOptions<T, V> {
  run: (input: V) => Promise<T>;
  /** Lists and objects that are out of date afterwards. */
  refresh?: readonly QueryKey[];
  done?: string | ((result: T, input: V) => string);
  onDone?: (result: T, input: V) => void;
  /** Return true when the page shows the error itself. */
  onFailed?: (error: unknown, input: V) => boolean;
}

export function useWrite<T, V = void>(options: WriteOptions<T, V>) {
  const client = useQueryClient();
  return useMutation<T, unknown, V>({
    mutationFn: options.run,
    onSuccess: async (result, input) => {
      options.onDone?.(result, input);
      if (options.done) notify.done(typeof options.done === "string" ? options.done : options.done(result, input));
      await Promise.all((options.refresh ?? []).map((queryKey) => client.invalidateQueries({ queryKey })));
    },
    onError: (error, input) => {
      if (options.onFailed?.(error, input)) return;
      // An ended session is answered by the frame, which asks for the password over the page.
      if (isApiError(error) && error.status === 401) return;
      notify.failed(error);
    },
  });
}
