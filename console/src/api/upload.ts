/** Uploads that tell how far they are. `fetch` cannot say it, so this is the one place that uses XMLHttpRequest. */
import { announceSignedOut, headersFor } from "./client";
import { errorFromAnswer, offlineError } from "./errors";

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text };
  }
}

export function uploadForm(
  path: string,
  form: FormData,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headersFor("POST"))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) return resolve(body);
      if (request.status === 401) announceSignedOut();
      const headers = new Headers();
      for (const name of ["x-request-id", "retry-after"]) {
        const value = request.getResponseHeader(name);
        if (value !== null) headers.set(name, value);
      }
      reject(errorFromAnswer(new Response(null, { status: request.status, headers }), body));
    };
    request.onerror = () => reject(offlineError("upload interrupted"));
    request.onabort = () => reject(new DOMException("upload cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}
