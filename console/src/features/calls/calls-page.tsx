/** The log of calls: narrowed by the address, paged by key, one call beside the list, all of them as a file. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight, ChevronsLeft, FileDown, PhoneOutgoing } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Call, type CallPage, callsFile, callsQuery } from "@/api/calls";
import { channelsQuery } from "@/api/channels";
import { formatCredits, formatMs, formatNumber, NO_VALUE } from "@/shared/format";
import { useMe } from "@/shared/me";
import { PageHead } from "@/shared/page-head";
import { type Column, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { CallBadge } from "./call-badge";
import { CallFilters } from "./call-filters";
import { CallSheet } from "./call-sheet";
import { filterOf, isNarrowed, NO_FILTERS, parseCallsUrl } from "./filters";

const REFRESH_MS = 5_000;
const NANO = 1e9;

export function CallsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [url, setUrl] = useUrlState(parseCallsUrl);
  // A span is counted from when it was chosen, so that pages belong together.
  const [openedAt] = useState(() => Date.now());
  const filter = filterOf(url, openedAt);
  const isNewest = url.cursor === undefined;
  const { data, error, refetch } = useQuery({
    ...callsQuery(filter, url.cursor),
    refetchInterval: isNewest ? REFRESH_MS : false,
  });
  const channels = useQuery({ ...channelsQuery, enabled: me.is_admin });
  const columns = useColumns(me.is_admin);
  const narrowed = isNarrowed(url);
  return (
    <>
      <PageHead
        title={t("calls.title")}
        hint={me.is_admin ? t("calls.sentence") : t("calls.mySentence")}
        actions={
          <a href={callsFile(filter)} download="calls.csv" className={buttonClass("plain")} data-testid="calls-csv">
            <FileDown aria-hidden className="size-3.5" />
            {t("calls.csv")}
          </a>
        }
      />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="calls"
          label={t("calls.title")}
          rowTestId="call"
          columns={columns}
          rows={data?.items}
          rowKey={(call) => call.id}
          onOpen={(call) => setUrl({ call: call.id }, { push: true })}
          filters={<CallFilters url={url} setUrl={setUrl} channels={channels.data ?? []} isAdmin={me.is_admin} />}
          empty={
            narrowed || !isNewest ? (
              <Empty
                title={t("table.noMatch")}
                action={<Button onClick={() => setUrl(NO_FILTERS)}>{t("table.clearFilters")}</Button>}
              />
            ) : (
              <Empty
                icon={<PhoneOutgoing aria-hidden />}
                title={t("calls.emptyTitle")}
                action={
                  <Link to="/keys" className={buttonClass("plain")}>
                    {t("calls.toKeys")}
                  </Link>
                }
              >
                {t("calls.emptyBody")}
              </Empty>
            )
          }
          footer={data ? <Turns page={data} onTurn={(cursor) => setUrl({ cursor }, { push: true })} /> : null}
        />
      )}
      {url.call ? <CallSheet key={url.call} id={url.call} onClose={() => setUrl({ call: undefined })} /> : null}
    </>
  );
}

function Turns({ page, onTurn }: { page: CallPage; onTurn: (cursor: string | undefined) => void }) {
  const { t } = useTranslation();
  const icon = "size-3.5";
  return (
    <nav aria-label={t("table.pages")} className="flex items-center justify-end gap-1">
      <Button
        small
        look="quiet"
        icon={<ChevronsLeft aria-hidden className={icon} />}
        disabled={!page.previous}
        onClick={() => onTurn(undefined)}
      >
        {t("calls.newest")}
      </Button>
      <Button
        small
        look="quiet"
        icon={<ChevronLeft aria-hidden className={icon} />}
        disabled={!page.previous}
        onClick={() => onTurn(page.previous ?? undefined)}
        data-testid="calls-newer"
      >
        {t("calls.newer")}
      </Button>
      <Button
        small
        look="quiet"
        disabled={!page.next}
        onClick={() => onTurn(page.next ?? undefined)}
        data-testid="calls-older"
      >
        {t("calls.older")}
        <ChevronRight aria-hidden className={icon} />
      </Button>
    </nav>
  );
}

function useColumns(isAdmin: boolean): Column<Call>[] {
  const { t } = useTranslation();
  const columns: Column<Call>[] = [
    {
      id: "time",
      head: t("calls.time"),
      fixed: true,
      text: (call) => call.created_at,
      cell: (call) => <Time at={call.created_at} />,
    },
    {
      id: "result",
      head: t("calls.result"),
      fixed: true,
      text: (call) => call.status,
      cell: (call) => <CallBadge call={call} />,
    },
    {
      id: "model",
      head: t("calls.model"),
      fixed: true,
      text: (call) => call.model,
      cell: (call) => (
        <span className="block max-w-56 truncate font-mono text-xs" title={call.model}>
          {call.model}
        </span>
      ),
    },
    {
      id: "channel",
      head: t("calls.channel"),
      from: "md",
      text: (call) => call.channel,
      cell: (call) => (
        <span className="block max-w-40 truncate" title={call.provider ?? undefined}>
          {call.channel ?? NO_VALUE}
        </span>
      ),
    },
    {
      id: "tokens",
      head: t("calls.tokens"),
      right: true,
      from: "sm",
      text: (call) => call.total_tokens,
      cell: (call) => (
        <span title={call.estimated ? t("calls.estimated") : undefined}>
          {call.estimated ? "≈ " : ""}
          {formatNumber(call.request_tokens)} / {formatNumber(call.response_tokens)}
        </span>
      ),
    },
    {
      id: "latency",
      head: t("calls.latency"),
      right: true,
      text: (call) => call.latency_ms,
      cell: (call) => formatMs(call.latency_ms),
    },
    {
      id: "first",
      head: t("calls.firstToken"),
      right: true,
      from: "lg",
      text: (call) => call.first_token_ms,
      cell: (call) => formatMs(call.first_token_ms),
    },
    {
      id: "cost",
      head: t("calls.cost"),
      right: true,
      from: "lg",
      text: (call) => call.cost_nano / NANO,
      cell: (call) => formatCredits(call.cost_nano / NANO),
    },
    {
      id: "surface",
      head: t("calls.surface"),
      from: "xl",
      text: (call) => call.surface,
      cell: (call) => call.surface,
    },
  ];
  if (isAdmin)
    columns.push({
      id: "user",
      head: t("calls.user"),
      right: true,
      from: "lg",
      text: (call) => call.user_id,
      cell: (call) => call.user_id ?? NO_VALUE,
    });
  return columns;
}
