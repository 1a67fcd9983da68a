/** Channels: how each is doing, and everything that can be done to it. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus, Route } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Channel, changeChannel, channelsQuery } from "@/api/channels";
import { ChannelBadge } from "@/shared/channel-state";
import { formatMs, formatNumber, formatPercent } from "@/shared/format";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { SearchBox } from "@/shared/search-box";
import { type Column, Table } from "@/shared/table";
import { Trouble } from "@/shared/trouble";
import { type Search, textOf, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { Meter } from "@/ui/progress";
import { Tag } from "@/ui/state";
import { ChannelMenu } from "./channel-menu";
import { ChannelSheet } from "./channel-sheet";

const REFRESH_MS = 3_000;
const parse = (search: Search) => ({ q: textOf(search.q) ?? "" });

export function ChannelsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [{ q }, setUrl] = useUrlState(parse);
  const { data, error, refetch } = useQuery({ ...channelsQuery, refetchInterval: REFRESH_MS, enabled: me.is_admin });
  const [open, setOpen] = useState<number | "new" | null>(null);
  const columns = useColumns();
  const wanted = q.toLowerCase();
  const rows = data?.filter((channel) => matches(channel, wanted));
  const add = (
    <Button
      look="primary"
      icon={<Plus aria-hidden className="size-3.5" />}
      onClick={() => setOpen("new")}
      data-testid="channel-add"
    >
      {t("channels.add")}
    </Button>
  );
  if (!me.is_admin)
    return (
      <>
        <PageHead title={t("channels.title")} />
        <Empty title={t("errors.adminOnly")} />
      </>
    );
  return (
    <>
      <PageHead title={t("channels.title")} hint={t("channels.sentence")} actions={add} />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="channels"
          label={t("channels.title")}
          rowTestId="channel"
          columns={columns}
          rows={rows}
          rowKey={(channel) => String(channel.id)}
          onOpen={(channel) => setOpen(channel.id)}
          filters={<SearchBox label={t("act.search")} value={q} onChange={(next) => setUrl({ q: next })} />}
          empty={
            q !== "" ? (
              <Empty
                title={t("table.noMatch")}
                action={<Button onClick={() => setUrl({ q: "" })}>{t("table.clearFilters")}</Button>}
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
      )}
      <ChannelSheet
        key={open === null ? "closed" : String(open)}
        open={open !== null}
        channel={typeof open === "number" ? data?.find((channel) => channel.id === open) : undefined}
        onClose={() => setOpen(null)}
      />
    </>
  );
}

function matches(channel: Channel, wanted: string): boolean {
  if (wanted === "") return true;
  return [channel.name, channel.provider, ...Object.keys(channel.models), ...channel.tags].some((text) =>
    text.toLowerCase().includes(wanted),
  );
}

export function errorShare(channel: Pick<Channel, "requests" | "errors">): number | null {
  return channel.requests > 0 ? channel.errors / channel.requests : null;
}

function useColumns(): Column<Channel>[] {
  const { t } = useTranslation();
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
          <span className="block max-w-64 truncate font-mono text-faint text-xs" title={channel.base_url}>
            {channel.read_only ? t("channels.readOnly") : channel.base_url}
          </span>
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
      from: "lg",
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
      cell: (channel) => `${formatMs(channel.p50_ms)} / ${formatMs(channel.p95_ms)}`,
    },
    {
      id: "requests",
      head: t("channels.requests"),
      right: true,
      from: "xl",
      text: (channel) => channel.requests,
      cell: (channel) => formatNumber(channel.requests),
    },
    {
      id: "errors",
      head: t("channels.errors"),
      right: true,
      from: "md",
      text: (channel) => errorShare(channel),
      cell: (channel) => (
        <span className={channel.errors > 0 ? "text-failed" : undefined}>{formatPercent(errorShare(channel), 1)}</span>
      ),
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
      className="tnum h-7 w-16 rounded-md border border-transparent bg-transparent px-1.5 text-right hover:border-line-strong focus:border-line-strong focus:bg-panel"
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
