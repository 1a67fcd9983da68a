/** Toasts: short news, and errors that say what happened with the request id to copy. */
import i18next from "i18next";
import { isApiError } from "@/api/errors";

export function errorSentence(error: unknown): string {
  if (!isApiError(error)) return error instanceof Error ? error.message : String(error);
  if (error.kind === "offline") return i18next.t("errors.offline");
  if (error.status === 429 && error.retryAfterS !== null)
    return `${error.message} ${i18next.t("errors.retryAfter", { seconds: Math.ceil(error.retryAfterS) })}`;
  return error.message;
}

/** Toasts are loaded with the first one, to keep them out of what every visit waits for. */
const loadToast = async () => (await import("sonner")).toast;

export const notify = {
  done(message: string, undo?: { label: string; run: () => void }): void {
    void loadToast().then((toast) =>
      toast.success(message, undo ? { action: { label: undo.label, onClick: undo.run } } : undefined),
    );
  },
  failed(error: unknown): void {
    const requestId = isApiError(error) ? error.requestId : null;
    const fields = isApiError(error) ? error.fields : [];
    const lines = fields.map((problem) => `${problem.field}: ${problem.message}`);
    if (requestId) lines.push(i18next.t("errors.requestId", { id: requestId }));
    void loadToast().then((toast) =>
      toast.error(errorSentence(error), {
        description: lines.join("\n") || undefined,
        duration: 8_000,
        action: requestId
          ? { label: i18next.t("act.copy"), onClick: () => void navigator.clipboard.writeText(requestId) }
          : undefined,
      }),
    );
  },
};
