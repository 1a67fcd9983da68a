/** Channels: how each is doing, who would serve a call, and the rules by which they are chosen. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileDown, FileUp, Plus, Route } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import {
  CHANNELS_FILE,
  type Channel,
  type ChannelStats,
  type ChannelsStats,
  changeChannel,
  channelStatsQuery,
  channelsQuery,
} from "@/api/channels";
import { ChannelBadge } from "@/shared/channel-state";
import { Sparkline } from "@/shared/charts";
import { formatCredits, formatMs, formatNumber, formatPercent } from "@/shared/format";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { SearchBox } from "@/shared/search-box";
import { type Column, Table } from "@/shared/table";
import { Trouble } from "@/shared/trouble";
import { numberOf, oneOf, type Search, textOf, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Meter } from "@/ui/progress";
import { Tag } from "@/ui/state";
import { errorShare, latencyTrend } from "./channel-figures";
import { ChannelMenu } from "./channel-menu";
import { ChannelSheet } from "./channel-sheet";
import { ImportDialog } from "./import-dialog";
import { RoutingRules } from "./routing-rules";
import { WhoBox } from "./who-box";

const REFRESH_MS = 3_000;
const STATS_REFRESH_MS = 30_000;
const NANO = 1e9;
const TABS = ["channels", "routing"] as const;
type Tab = (typeof TABS)[number];

interface Url {
  q: string;
  tab: Tab;
  channel: number | undefined;
}

const parse = (search: Search): Url => ({
  q: textOf(search.q) ?? "",
  tab: oneOf(search.tab, TABS) ?? "channels",
  channel: numberOf(search.channel),
});

const ICON = "size-3.5";

export function ChannelsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [url, setUrl] = useUrlState(parse);
  const channels = useQuery({ ...channelsQuery, refetchInterval: REFRESH_MS, enabled: me.is_admin });
  const [adding, setAdding] = useState(false);
  const [importing, setImporting] = useState(false);
  if (!me.is_admin)
    return (
      <>
        <PageHead title={t("channels.title")} />
        <Empty title={t("errors.adminOnly")} />
      </>
    );
  const add = (
    <Button
      look="primary"
      icon={<Plus aria-hidden className={ICON} />}
      onClick={() => setAdding(true)}
      data-testid="channel-add"
    >
      {t("channels.add")}
    </Button>
  );
  const data = channels.data;
  const shown = adding ? undefined : data?.find((channel) => channel.id === url.channel);
  return (
    <>
      <PageHead
        title={t("channels.title")}
        hint={t("channels.sentence")}
        actions={
          <>
            <Button
              icon={<FileUp aria-hidden className={ICON} />}
              onClick={() => setImporting(true)}
              data-testid="channels-import"
            >
              {t("channels.import.act")}
            </Button>
            <a
              href={CHANNELS_FILE}
              download="channels.yaml"
              className={buttonClass("plain")}
              data-testid="channels-export"
            >
              <FileDown aria-hidden className={ICON} />
              {t("channels.export")}
            </a>
            {add}
          </>
        }
      />
      <WhoBox
        models={unique(data, (channel) => Object.keys(channel.models))}
        groups={unique(data, (channel) => channel.groups ?? [])}
        regions={unique(data, (channel) => (channel.region ? [channel.region] : []))}
      />
      <Tabs now={url.tab} />
      {url.tab === "routing" ? (
        <RoutingRules />
      ) : channels.error && !data ? (
        <Trouble error={channels.error} onRetry={() => void channels.refetch()} />
      ) : (
        <ChannelTable
          channels={data}
          q={url.q}
          onSearch={(q) => setUrl({ q })}
          onOpen={(id) => setUrl({ channel: id }, { push: true })}
          add={add}
        />
      )}
      <ChannelSheet
        key={adding ? "new" : String(shown?.id ?? "closed")}
        open={adding || shown !== undefined}
        channel={shown}
        onClose={() => {
          if (adding) setAdding(false);
          else setUrl({ channel: undefined });
        }}
      />
      {importing ? <ImportDialog onClose={() => setImporting(false)} /> : null}
    </>
  );
}

function unique(channels: readonly Channel[] | undefined, of: (channel: Channel) => readonly string[]): string[] {
  return [...new Set(channels?.flatMap(of))].sort();
}

function Tabs({ now }: { now: Tab }) {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("channels.tabs.label")} className="mb-3 flex gap-1 border-b">
      {TABS.map((tab) => (
        <Link
          key={tab}
          to="/channels"
          search={tab === "channels" ? {} : { tab }}
          aria-current={tab === now ? "page" : undefined}
          data-testid={`channels-tab-${tab}`}
          className={cx(
            "-mb-px flex h-9 items-center border-b-2 px-3 text-sm -outline-offset-2 pointer-coarse:h-11",
            tab === now ? "border-accent font-medium text-text" : "border-transparent text-soft hover:text-text",
          )}
        >
          {t(`channels.tabs.${tab}`)}
        </Link>
      ))}
    </nav>
  );
}

function ChannelTable({
  channels,
  q,
  onSearch,
  onOpen,
  add,
}: {
  channels: Channel[] | undefined;
  q: string;
  onSearch: (q: string) => void;
  onOpen: (id: number) => void;
  add: ReactNode;
}) {
  const { t } = useTranslation();
  const stats = useQuery({ ...channelStatsQuery, refetchInterval: STATS_REFRESH_MS });
  const columns = useColumns(stats.data);
  const wanted = q.toLowerCase();
  return (
    <Table
      name="channels"
      label={t("channels.title")}
      rowTestId="channel"
      columns={columns}
      rows={channels?.filter((channel) => matches(channel, wanted))}
      rowKey={(channel) => String(channel.id)}
      onOpen={(channel) => onOpen(channel.id)}
      filters={<SearchBox label={t("act.search")} value={q} onChange={onSearch} />}
      empty={
        q !== "" ? (
          <Empty
            title={t("table.noMatch")}
            action={<Button onClick={() => onSearch("")}>{t("table.clearFilters")}</Button>}
          />
        ) : (
          <Empty
            icon={<Route aria-hidden />}
            title={t("channels.emptyTitle")}
            action={
              <>
                {add}
                <Link to="/local-models" className={buttonClass("plain")}>
                  {t("channels.toLocalModels")}
                </Link>
              </>
            }
          >
            {t("channels.emptyBody")}
          </Empty>
        )
      }
    />
  );
}

function matches(channel: Channel, wanted: string): boolean {
  if (wanted === "") return true;
  return [channel.name, channel.provider, ...Object.keys(channel.models), ...channel.tags].some((text) =>
    text.toLowerCase().includes(wanted),
  );
}

function useColumns(stats: ChannelsStats | undefined): Column<Channel>[] {
  const { t } = useTranslation();
  const of = (channel: Channel): ChannelStats | undefined =>
    stats?.channels.find((entry) => entry.channel_id === channel.id);
  return [
    {
      id: "state",
      head: t("channels.state"),
      fixed: true,
      text: (channel) => channel.status,
      cell: (channel) => <ChannelBadge channel={channel} />,
    },
    {
      id: "name",
      head: t("channels.name"),
      fixed: true,
      text: (channel) => channel.name,
      cell: (channel) => (
        <span className="block min-w-32">
          <span className="block font-medium">{channel.name}</span>
          <span className="block max-w-52 truncate font-mono text-faint text-xs" title={channel.base_url}>
            {channel.id < 0 ? t("channels.readOnly") : channel.base_url}
          </span>
        </span>
      ),
    },
    {
      id: "provider",
      head: t("channels.provider"),
      from: "xl",
      text: (channel) => channel.provider,
      cell: (channel) => (
        <span className="flex flex-wrap gap-1">
          <Tag>{channel.provider}</Tag>
          {channel.region ? <Tag title={t("channels.region")}>{channel.region}</Tag> : null}
        </span>
      ),
    },
    {
      id: "models",
      head: t("channels.models"),
      from: "md",
      text: (channel) => Object.keys(channel.models).join(" "),
      cell: (channel) => <Models models={Object.keys(channel.models)} />,
    },
    {
      id: "priority",
      head: t("channels.priority"),
      right: true,
      from: "xl",
      text: (channel) => channel.priority,
      cell: (channel) => <InlineNumber channel={channel} field="priority" />,
    },
    {
      id: "weight",
      head: t("channels.weight"),
      right: true,
      from: "sm",
      text: (channel) => channel.weight,
      cell: (channel) => <InlineNumber channel={channel} field="weight" />,
    },
    {
      id: "inFlight",
      head: t("channels.inFlight"),
      className: "min-w-28",
      from: "sm",
      text: (channel) => channel.in_flight,
      cell: (channel) => (
        <span className="flex items-center gap-2">
          {channel.limit ? (
            <Meter
              value={channel.in_flight}
              limit={channel.limit}
              label={`${channel.name}: ${t("channels.inFlight")}`}
            />
          ) : null}
          <span className="tnum shrink-0 text-soft text-xs">
            {channel.limit ? `${channel.in_flight} / ${channel.limit}` : channel.in_flight}
          </span>
        </span>
      ),
    },
    {
      id: "latency",
      head: t("channels.latency"),
      right: true,
      from: "lg",
      text: (channel) => channel.p95_ms,
      cell: (channel) => (
        <span className="flex items-center justify-end gap-2">
          <Sparkline
            values={latencyTrend(of(channel), stats?.to)}
            className="h-5 w-10 shrink-0 text-running-bar max-xl:hidden"
          />
          <span className="min-w-28 text-right" title={t("channels.trend")}>
            {`${formatMs(channel.p50_ms)} / ${formatMs(channel.p95_ms)}`}
          </span>
        </span>
      ),
    },
    {
      id: "requests",
      head: t("channels.requestsDay"),
      right: true,
      from: "2xl",
      text: (channel) => of(channel)?.requests ?? 0,
      cell: (channel) => formatNumber(of(channel)?.requests ?? 0),
    },
    {
      id: "errors",
      head: t("channels.errors"),
      right: true,
      from: "md",
      text: (channel) => errorShare(channel),
      cell: (channel) => {
        const share = errorShare(channel);
        return <span className={share ? "text-failed" : undefined}>{formatPercent(share, 1)}</span>;
      },
    },
    {
      id: "spend",
      head: t("channels.spendToday"),
      right: true,
      from: "lg",
      text: (channel) => (of(channel)?.cost_today_nano ?? 0) / NANO,
      cell: (channel) => formatCredits((of(channel)?.cost_today_nano ?? 0) / NANO),
    },
    {
      id: "actions",
      head: "",
      fixed: true,
      right: true,
      className: "w-10",
      cell: (channel) => <ChannelMenu channel={channel} />,
    },
  ];
}

function Models({ models }: { models: string[] }) {
  const shown = models.slice(0, 2);
  return (
    <span className="flex flex-wrap gap-1" title={models.join("\n")}>
      {shown.map((name) => (
        <Tag key={name} mono>
          {name}
        </Tag>
      ))}
      {models.length > shown.length ? <Tag>+{models.length - shown.length}</Tag> : null}
    </span>
  );
}

/** A number changed where it stands: Enter or leaving the field saves, Esc takes it back. */
function InlineNumber({ channel, field }: { channel: Channel; field: "priority" | "weight" }) {
  const { t } = useTranslation();
  const [text, setText] = useState<string | null>(null);
  const save = useWrite({
    run: (value: number) => changeChannel(channel.id, { [field]: value }),
    refresh: [["channels"]],
    done: t("channels.saved", { name: channel.name }),
  });
  if (channel.read_only) return <span className="text-faint">{channel[field]}</span>;
  const commit = () => {
    const value = Number(text);
    if (text !== null && text.trim() !== "" && Number.isInteger(value) && value !== channel[field]) save.mutate(value);
    setText(null);
  };
  return (
    <input
      type="number"
      step={1}
      min={field === "weight" ? 0 : undefined}
      aria-label={t(field === "weight" ? "channels.setWeight" : "channels.setPriority", { name: channel.name })}
      className="tnum h-7 w-14 rounded-md border border-transparent bg-transparent px-1.5 text-right hover:border-line-strong focus:border-line-strong focus:bg-panel"
      value={text ?? String(save.isPending ? save.variables : channel[field])}
      data-testid={`channel-${field}`}
      onChange={(event) => setText(event.target.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") setText(null);
      }}
    />
  );
}
