/** Save an answer to disk where a plain link will not do because the request has a body. */
import { announceSignedOut, headersFor } from "./client";
import { errorFromAnswer, offlineError } from "./errors";

export async function saveAnswer(path: string, body: unknown, filename: string): Promise<void> {
  const response = await fetch(path, {
    method: "POST",
    credentials: "same-origin",
    headers: { ...headersFor("POST"), "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch((cause: unknown) => {
    throw offlineError(cause);
  });
  if (!response.ok) {
    if (response.status === 401) announceSignedOut();
    throw errorFromAnswer(response, await response.json().catch(() => null));
  }
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = filename;
  link.click();
  URL.revokeObjectURL(url);
}
