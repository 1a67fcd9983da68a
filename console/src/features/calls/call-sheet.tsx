/** One call with all that is known of it. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { type CallDetail, callQuery } from "@/api/calls";
import { CopyButton } from "@/shared/copy";
import { formatCredits, formatDateTime, formatMs, formatNumber, NO_VALUE } from "@/shared/format";
import { useMe } from "@/shared/me";
import { Trouble } from "@/shared/trouble";
import { Facts, SkeletonRows } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { CallBadge } from "./call-badge";

const NANO = 1e9;
const KINDS = [
  ["fresh", "fresh_tokens"],
  ["cacheRead", "cache_read_tokens"],
  ["cacheWrite", "cache_write_tokens"],
  ["output", "output_tokens"],
  ["reasoning", "reasoning_tokens"],
  ["audioIn", "audio_in_tokens"],
  ["audioOut", "audio_out_tokens"],
] as const;

export function CallSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(callQuery(id));
  return (
    <Dialog
      open
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
      place="side"
      title={t("calls.detailTitle")}
      closeLabel={t("act.close")}
      testId="call-sheet"
      footer={<Button onClick={onClose}>{t("act.close")}</Button>}
    >
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : data ? (
        <Detail call={data} />
      ) : (
        <SkeletonRows label={t("state.loading")} />
      )}
    </Dialog>
  );
}

function Detail({ call }: { call: CallDetail }) {
  const { t } = useTranslation();
  const me = useMe();
  const tokens = KINDS.filter(([, field]) => call[field] > 0);
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap items-center gap-2">
        <CallBadge call={call} />
        <span className="font-medium font-mono text-sm">{call.model}</span>
        <span className="tnum ml-auto text-faint text-xs">{formatDateTime(call.created_at)}</span>
      </div>
      <Facts
        items={[
          { label: t("calls.latency"), value: formatMs(call.latency_ms) },
          { label: t("calls.firstToken"), value: formatMs(call.first_token_ms) },
          {
            label: t("calls.tokens"),
            value: `${formatNumber(call.request_tokens)} / ${formatNumber(call.response_tokens)}${call.estimated ? ` · ${t("calls.estimated")}` : ""}`,
          },
          { label: t("calls.cost"), value: formatCredits(call.cost_nano / NANO) },
          { label: t("calls.httpStatus"), value: call.http_status },
          { label: t("calls.errorCode"), value: call.error_code ?? NO_VALUE },
          { label: t("calls.retries"), value: formatNumber(call.retries) },
          { label: t("calls.stream"), value: call.stream ? t("state.yes") : t("state.no") },
          { label: t("calls.cached"), value: call.cached ? t("state.yes") : t("state.no") },
          { label: t("calls.surface"), value: `${call.surface} · ${call.kind}` },
        ]}
      />
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 border-t pt-4 text-sm">
        <dt className="text-faint">{t("calls.channel")}</dt>
        <dd>
          {call.channel && call.channel_id !== null && me.is_admin ? (
            <Link to="/channels" search={{ channel: call.channel_id }} className="text-accent hover:underline">
              {call.channel}
            </Link>
          ) : (
            (call.channel ?? NO_VALUE)
          )}
          {call.provider ? <span className="text-faint"> · {call.provider}</span> : null}
        </dd>
        <dt className="text-faint">{t("calls.upstreamModel")}</dt>
        <dd className="break-all font-mono text-xs leading-5">{call.upstream_model ?? NO_VALUE}</dd>
        <dt className="text-faint">{t("calls.user")}</dt>
        <dd className="tnum">{call.user_id ?? NO_VALUE}</dd>
        <dt className="text-faint">{t("calls.key")}</dt>
        <dd className="break-all font-mono text-xs leading-5">{call.key_id ?? NO_VALUE}</dd>
        <dt className="text-faint">{t("calls.request")}</dt>
        <dd className="flex items-center gap-1 break-all font-mono text-xs">
          {call.request_id}
          <CopyButton text={call.request_id} label={t("calls.copyId")} />
        </dd>
      </dl>
      {tokens.length > 0 ? (
        <section>
          <h3 className="mb-1.5 font-semibold text-sm">{t("calls.tokensTitle")}</h3>
          <Facts
            items={tokens.map(([word, field]) => ({
              label: t(`calls.tokenKinds.${word}`),
              value: formatNumber(call[field]),
            }))}
          />
        </section>
      ) : null}
      <Json title={t("calls.usageRaw")} text={call.usage_raw} />
      <Json title={t("calls.metadata")} text={call.metadata ? JSON.stringify(call.metadata) : null} />
    </div>
  );
}

function Json({ title, text }: { title: string; text: string | null }) {
  if (!text) return null;
  return (
    <section>
      <h3 className="mb-1.5 font-semibold text-sm">{title}</h3>
      <pre className="scroll-thin max-h-64 overflow-auto rounded-md border bg-sunken p-2 font-mono text-xs">
        {pretty(text)}
      </pre>
    </section>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // cut off or no JSON: shown as it came
  }
}
