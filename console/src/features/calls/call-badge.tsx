/** How a call ended, as one badge. */
import { useTranslation } from "react-i18next";
import { CALL_STATUSES, type Call } from "@/api/calls";
import { oneOf } from "@/shared/url-state";
import { StateBadge, type Tone } from "@/ui/state";

const TONES: Record<string, Tone> = {
  ok: "done",
  client_error: "warn",
  refused: "warn",
  client_gone: "idle",
  upstream_error: "failed",
  timeout: "failed",
};

export function CallBadge({ call }: { call: Pick<Call, "status" | "error_code" | "http_status"> }) {
  const { t } = useTranslation();
  const word = oneOf(call.status, CALL_STATUSES);
  return (
    <StateBadge
      tone={TONES[call.status] ?? "idle"}
      title={[call.http_status, call.error_code].filter(Boolean).join(" · ")}
      testId="call-status"
    >
      {word ? t(`calls.status.${word}`) : call.status}
    </StateBadge>
  );
}
