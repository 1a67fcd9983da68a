/** Files on their way to the server: two at a time, each with its own progress and fate. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useRef, useState } from "react";
import { uploadFile } from "@/api/samples";
import { errorSentence } from "@/shared/notify";

const AT_ONCE = 2;

export interface Upload {
  id: number;
  name: string;
  size: number;
  share: number;
  state: "waiting" | "sending" | "done" | "failed" | "cancelled";
  error?: string;
}

interface Job {
  id: number;
  file: File;
  abort: AbortController;
}

export function useUploads() {
  const client = useQueryClient();
  const [uploads, setUploads] = useState<Upload[]>([]);
  const waiting = useRef<Job[]>([]);
  const jobs = useRef(new Map<number, Job>());
  const running = useRef(0);
  const nextId = useRef(1);

  const change = useCallback((id: number, part: Partial<Upload>) => {
    setUploads((before) => before.map((upload) => (upload.id === id ? { ...upload, ...part } : upload)));
  }, []);

  const pump = useCallback(() => {
    while (running.current < AT_ONCE) {
      const job = waiting.current.shift();
      if (!job) return;
      running.current += 1;
      change(job.id, { state: "sending" });
      uploadFile(job.file, (share) => change(job.id, { share }), job.abort.signal)
        .then(async () => {
          change(job.id, { state: "done", share: 1 });
          await client.invalidateQueries({ queryKey: ["files"] });
        })
        .catch((error: unknown) => {
          if (job.abort.signal.aborted) change(job.id, { state: "cancelled" });
          else change(job.id, { state: "failed", error: errorSentence(error) });
        })
        .finally(() => {
          running.current -= 1;
          jobs.current.delete(job.id);
          pump();
        });
    }
  }, [change, client]);

  const add = useCallback(
    (files: readonly File[]) => {
      const added = files.map((file): Job => ({ id: nextId.current++, file, abort: new AbortController() }));
      for (const job of added) jobs.current.set(job.id, job);
      waiting.current.push(...added);
      setUploads((before) => [
        ...added.map(({ id, file }): Upload => ({ id, name: file.name, size: file.size, share: 0, state: "waiting" })),
        ...before,
      ]);
      pump();
    },
    [pump],
  );

  const cancel = useCallback(
    (id: number) => {
      waiting.current = waiting.current.filter((job) => job.id !== id);
      jobs.current.get(id)?.abort.abort();
      change(id, { state: "cancelled" });
    },
    [change],
  );
  const clear = useCallback(() => {
    setUploads((before) => before.filter((upload) => upload.state === "waiting" || upload.state === "sending"));
  }, []);

  return { uploads, add, cancel, clear };
}
