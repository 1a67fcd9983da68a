/** Alerts: what befell channels, keys and balances, and who looks after it. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { BellOff, Check, Send } from "lucide-react";
import { useTranslation } from "react-i18next";
import {
  ALERT_KINDS,
  ALERT_STATUSES,
  type Alert,
  acknowledgeAlert,
  alertsQuery,
  type DeliveryTest,
  testAlerts,
} from "@/api/alerts";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { PageHead } from "@/shared/page-head";
import { type Column, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { oneOf, type Search, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Select } from "@/ui/field";
import { StateBadge, type Tone } from "@/ui/state";

const REFRESH_MS = 10_000;
const parse = (search: Search) => ({
  status: oneOf(search.status, ALERT_STATUSES),
  kind: oneOf(search.kind, ALERT_KINDS),
});

export function AlertsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [url, setUrl] = useUrlState(parse);
  const list = useInfiniteQuery({ ...alertsQuery(url), refetchInterval: REFRESH_MS, enabled: me.is_admin });
  const columns = useColumns();
  const test = useWrite({ run: testAlerts, onDone: (told) => say(told), refresh: [["alerts"]] });
  const say = ({ ways }: DeliveryTest) => {
    if (ways.length === 0) notify.failed(new Error(t("alerts.testNone")));
    for (const { way, ok, error } of ways) {
      const name = t(`alerts.ways.${way}`);
      if (ok === false) notify.failed(new Error(t("alerts.testFailed", { way: name, error: error ?? "?" })));
      else notify.done(t(ok ? "alerts.testOk" : "alerts.testUnknown", { way: name }));
    }
  };
  if (!me.is_admin)
    return (
      <>
        <PageHead title={t("alerts.title")} />
        <Empty title={t("errors.adminOnly")} />
      </>
    );
  const narrowed = url.status !== undefined || url.kind !== undefined;
  return (
    <>
      <PageHead
        title={t("alerts.title")}
        hint={t("alerts.sentence")}
        actions={
          <Button
            icon={<Send aria-hidden className="size-3.5" />}
            busy={test.isPending}
            onClick={() => test.mutate()}
            data-testid="alerts-test"
          >
            {t("alerts.test")}
          </Button>
        }
      />
      {list.error && !list.data ? (
        <Trouble error={list.error} onRetry={() => void list.refetch()} />
      ) : (
        <Table
          name="alerts"
          label={t("alerts.title")}
          rowTestId="alert"
          columns={columns}
          rows={list.data?.pages.flatMap((page) => page.items)}
          rowKey={(alert) => alert.id}
          filters={
            <>
              <Select
                aria-label={t("alerts.filter.status")}
                className="w-44"
                value={url.status ?? ""}
                onChange={(event) => setUrl({ status: oneOf(event.target.value, ALERT_STATUSES) })}
              >
                <option value="">{`${t("alerts.filter.status")}: ${t("state.all")}`}</option>
                {ALERT_STATUSES.map((status) => (
                  <option key={status} value={status}>
                    {t(`alerts.status.${status}`)}
                  </option>
                ))}
              </Select>
              <Select
                aria-label={t("alerts.filter.kind")}
                className="w-44"
                value={url.kind ?? ""}
                onChange={(event) => setUrl({ kind: oneOf(event.target.value, ALERT_KINDS) })}
              >
                <option value="">{`${t("alerts.filter.kind")}: ${t("state.all")}`}</option>
                {ALERT_KINDS.map((kind) => (
                  <option key={kind} value={kind}>
                    {t(`alerts.kind.${kind}`)}
                  </option>
                ))}
              </Select>
            </>
          }
          empty={
            narrowed ? (
              <Empty
                title={t("table.noMatch")}
                action={
                  <Button onClick={() => setUrl({ status: undefined, kind: undefined })}>
                    {t("table.clearFilters")}
                  </Button>
                }
              />
            ) : (
              <Empty icon={<BellOff aria-hidden />} title={t("alerts.emptyTitle")}>
                {t("alerts.emptyBody")}
              </Empty>
            )
          }
          footer={
            list.hasNextPage ? (
              <Button small look="quiet" busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                {t("alerts.more")}
              </Button>
            ) : null
          }
        />
      )}
    </>
  );
}

export function alertTone(alert: Pick<Alert, "status" | "severity">): Tone {
  if (alert.status === "recovered") return "done";
  if (alert.status === "acknowledged") return "idle";
  return alert.severity === "critical" ? "failed" : "warn";
}

function useColumns(): Column<Alert>[] {
  const { t } = useTranslation();
  return [
    {
      id: "status",
      head: t("alerts.filter.status"),
      fixed: true,
      text: (alert) => alert.status,
      cell: (alert) => (
        <StateBadge tone={alertTone(alert)} title={t(`alerts.severity.${alert.severity}`)} testId="alert-status">
          {t(`alerts.status.${alert.status}`)}
        </StateBadge>
      ),
    },
    {
      id: "what",
      head: t("alerts.what"),
      fixed: true,
      text: (alert) => `${alert.title} ${alert.text}`,
      cell: (alert) => (
        <span className="block min-w-40 py-1">
          <span className="block font-medium">{alert.title}</span>
          <span className="block whitespace-pre-wrap break-words text-soft text-xs">{alert.text}</span>
          {alert.subject_type === "channel" && /^-?\d+$/.test(alert.subject_id) ? (
            <Link
              to="/channels"
              search={{ channel: Number(alert.subject_id) }}
              className="text-accent text-xs hover:underline"
            >
              {t("alerts.toChannel")}
            </Link>
          ) : null}
        </span>
      ),
    },
    {
      id: "kind",
      head: t("alerts.filter.kind"),
      from: "lg",
      text: (alert) => alert.kind,
      cell: (alert) => t(`alerts.kind.${alert.kind}`),
    },
    {
      id: "raised",
      head: t("alerts.raised"),
      right: true,
      from: "sm",
      text: (alert) => alert.raised_at,
      cell: (alert) => <Time at={alert.raised_at} />,
    },
    {
      id: "seen",
      head: t("alerts.lastSeen"),
      right: true,
      from: "lg",
      text: (alert) => alert.last_seen_at,
      cell: (alert) => (
        <>
          <Time at={alert.last_seen_at} />
          {alert.count > 1 ? (
            <span className="text-faint text-xs"> · {t("alerts.count", { count: alert.count })}</span>
          ) : null}
        </>
      ),
    },
    {
      id: "actions",
      head: "",
      fixed: true,
      right: true,
      cell: (alert) => (alert.status === "open" ? <Acknowledge alert={alert} /> : null),
    },
  ];
}

function Acknowledge({ alert }: { alert: Alert }) {
  const { t } = useTranslation();
  const write = useWrite({
    run: () => acknowledgeAlert(alert.id),
    refresh: [["alerts"]],
    done: t("alerts.acknowledged"),
  });
  return (
    <Button
      small
      icon={<Check aria-hidden className="size-3.5" />}
      busy={write.isPending}
      onClick={() => write.mutate()}
      data-testid="alert-acknowledge"
    >
      <span className="max-sm:sr-only">{t("alerts.acknowledge")}</span>
    </Button>
  );
}
