/** Routing rules: how a channel is chosen and what callers are held to; the narrowest rule holds, field by field. */
import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2, Waypoints } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { deleteRule, RULE_KINDS, type Rule, rulesQuery } from "@/api/routes";
import { useConfirm } from "@/shared/confirm";
import { formatNumber, NO_VALUE } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { type Column, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { Empty } from "@/ui/blocks";
import { Button, IconButton } from "@/ui/button";
import { Tag } from "@/ui/state";
import { RuleSheet } from "./rule-sheet";
import { STRATEGY_WORDS } from "./words";

export function RoutingRules() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(rulesQuery);
  const [open, setOpen] = useState<Rule | "new" | null>(null);
  const columns = useColumns();
  const add = (
    <Button
      icon={<Plus aria-hidden className="size-3.5" />}
      look="primary"
      small
      onClick={() => setOpen("new")}
      data-testid="rule-add"
    >
      {t("rules.add")}
    </Button>
  );
  const rows = data && [...data].sort(byWidth);
  return (
    <>
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="rules"
          label={t("rules.title")}
          rowTestId="rule"
          columns={columns}
          rows={rows}
          rowKey={(rule) => String(rule.id)}
          onOpen={setOpen}
          filters={
            <>
              <p className="min-w-0 flex-1 basis-64 px-1 text-soft text-sm">{t("rules.sentence")}</p>
              {rows && rows.length > 0 ? add : null}
            </>
          }
          empty={
            <Empty icon={<Waypoints aria-hidden />} title={t("rules.emptyTitle")} action={add}>
              {t("rules.emptyBody")}
            </Empty>
          }
        />
      )}
      {open === null ? null : (
        <RuleSheet
          key={open === "new" ? "new" : open.id}
          rule={open === "new" ? undefined : open}
          onClose={() => setOpen(null)}
        />
      )}
    </>
  );
}

function byWidth(a: Rule, b: Rule): number {
  return RULE_KINDS.indexOf(a.kind) - RULE_KINDS.indexOf(b.kind) || (a.name ?? "").localeCompare(b.name ?? "");
}

function useColumns(): Column<Rule>[] {
  const { t } = useTranslation();
  const number = (id: "rpm" | "tpm" | "max_concurrent", head: string): Column<Rule> => ({
    id,
    head,
    right: true,
    from: "md",
    text: (rule) => rule[id],
    cell: (rule) => formatNumber(rule[id]),
  });
  return [
    {
      id: "kind",
      head: t("rules.for"),
      fixed: true,
      text: (rule) => [rule.kind, rule.name].filter(Boolean).join(":"),
      cell: (rule) => (
        <span className="flex items-center gap-2">
          <Tag>{t(`rules.kinds.${rule.kind}`)}</Tag>
          <span className="truncate font-mono text-xs">{rule.name}</span>
        </span>
      ),
    },
    {
      id: "strategy",
      head: t("rules.strategy"),
      text: (rule) => rule.strategy,
      cell: (rule) => (rule.strategy ? t(STRATEGY_WORDS[rule.strategy]) : NO_VALUE),
    },
    {
      id: "region",
      head: t("channels.region"),
      from: "sm",
      text: (rule) => rule.region,
      cell: (rule) => rule.region ?? NO_VALUE,
    },
    {
      id: "continues",
      head: t("rules.continues"),
      from: "lg",
      text: (rule) => (rule.continues === null || rule.continues === undefined ? null : String(rule.continues)),
      cell: (rule) =>
        rule.continues === null || rule.continues === undefined
          ? NO_VALUE
          : t(rule.continues ? "rules.continuesOn" : "rules.continuesOff"),
    },
    number("rpm", t("channels.rpm")),
    number("tpm", t("channels.tpm")),
    number("max_concurrent", t("channels.maxConcurrent")),
    {
      id: "updated",
      head: t("rules.changed"),
      right: true,
      from: "xl",
      text: (rule) => rule.updated_at,
      cell: (rule) => <Time at={rule.updated_at} />,
    },
    { id: "actions", head: "", fixed: true, right: true, className: "w-10", cell: (rule) => <Remove rule={rule} /> },
  ];
}

function Remove({ rule }: { rule: Rule }) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const name = [t(`rules.kinds.${rule.kind}`), rule.name].filter(Boolean).join(" ");
  const remove = useWrite({
    run: () => deleteRule(rule.id),
    refresh: [["routes"]],
    done: t("rules.deleted", { name }),
  });
  const ask = async () => {
    const yes = await confirm({
      title: t("rules.deleteTitle", { name }),
      body: t("rules.deleteBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return (
    <IconButton
      label={`${t("act.delete")}: ${name}`}
      icon={<Trash2 aria-hidden className="size-3.5" />}
      className="size-7"
      onClick={() => void ask()}
      data-testid="rule-delete"
    />
  );
}
