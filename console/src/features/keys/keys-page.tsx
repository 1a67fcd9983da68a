/** The caller's API keys. */
import { useQuery } from "@tanstack/react-query";
import { Ban, Ellipsis, KeyRound, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type ApiKey, type CreatedKey, deleteKey, keysQuery, revokeKey } from "@/api/keys";
import { useConfirm } from "@/shared/confirm";
import { formatNumber } from "@/shared/format";
import { CreateKeyDialog } from "@/shared/keys/create-key-dialog";
import { SecretDialog } from "@/shared/keys/secret-dialog";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { type Column, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { Empty } from "@/ui/blocks";
import { Button, IconButton } from "@/ui/button";
import { Menu, MenuItem } from "@/ui/menu";
import { StateBadge, Tag, type Tone } from "@/ui/state";

const TONES: Record<ApiKey["status"], Tone> = { active: "done", expired: "warn", revoked: "failed", rotated: "idle" };

export function KeysPage() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(keysQuery);
  const [creating, setCreating] = useState(false);
  const [created, setCreated] = useState<CreatedKey | null>(null);
  const columns = useColumns();
  const create = (
    <Button
      look="primary"
      icon={<Plus aria-hidden className="size-3.5" />}
      onClick={() => setCreating(true)}
      data-testid="key-create"
    >
      {t("keys.create")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("keys.title")} hint={t("keys.sentence")} actions={create} />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="keys"
          label={t("keys.title")}
          rowTestId="key"
          columns={columns}
          rows={data}
          rowKey={(key) => key.id}
          empty={
            <Empty icon={<KeyRound aria-hidden />} title={t("keys.emptyTitle")} action={create}>
              {t("keys.emptyBody")}
            </Empty>
          }
        />
      )}
      <CreateKeyDialog
        open={creating}
        onOpenChange={setCreating}
        onCreated={(key) => {
          setCreating(false);
          setCreated(key);
        }}
      />
      <SecretDialog created={created} onDone={() => setCreated(null)} />
    </>
  );
}

function useColumns(): Column<ApiKey>[] {
  const { t } = useTranslation();
  return [
    {
      id: "name",
      head: t("keys.name"),
      fixed: true,
      text: (key) => key.name,
      cell: (key) => <span className="font-medium">{key.name}</span>,
    },
    {
      id: "key",
      head: t("keys.key"),
      from: "sm",
      text: (key) => `${key.prefix}…${key.last4}`,
      cell: (key) => (
        <span className="whitespace-nowrap font-mono text-soft text-xs">
          {key.prefix}…{key.last4}
        </span>
      ),
    },
    {
      id: "scopes",
      head: t("keys.scopes"),
      from: "md",
      text: (key) => key.scopes.join(" "),
      cell: (key) => (
        <span className="flex flex-wrap gap-1">
          {key.scopes.map((scope) => (
            <Tag key={scope} mono>
              {scope}
            </Tag>
          ))}
        </span>
      ),
    },
    {
      id: "status",
      head: t("keys.statusLabel"),
      fixed: true,
      text: (key) => key.status,
      cell: (key) => <StateBadge tone={TONES[key.status]}>{t(`keys.status.${key.status}`)}</StateBadge>,
    },
    {
      id: "expires",
      head: t("keys.expires"),
      from: "lg",
      text: (key) => key.expires_at,
      cell: (key) =>
        key.expires_at ? <Time at={key.expires_at} /> : <span className="text-faint">{t("keys.expiry.never")}</span>,
    },
    {
      id: "lastUsed",
      head: t("keys.lastUsed"),
      from: "sm",
      text: (key) => key.last_used_at,
      cell: (key) =>
        key.last_used_at ? <Time at={key.last_used_at} /> : <span className="text-faint">{t("keys.never")}</span>,
    },
    {
      id: "useCount",
      head: t("keys.useCount"),
      right: true,
      from: "lg",
      text: (key) => key.use_count,
      cell: (key) => formatNumber(key.use_count),
    },
    {
      id: "created",
      head: t("keys.created"),
      from: "xl",
      text: (key) => key.created_at,
      cell: (key) => <Time at={key.created_at} />,
    },
    { id: "actions", head: "", fixed: true, right: true, className: "w-10", cell: (key) => <KeyMenu apiKey={key} /> },
  ];
}

function KeyMenu({ apiKey }: { apiKey: ApiKey }) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const name = apiKey.name;
  const refresh = [["keys"]];
  const revoke = useWrite({ run: () => revokeKey(apiKey.id), refresh, done: t("keys.revoked", { name }) });
  const remove = useWrite({ run: () => deleteKey(apiKey.id), refresh, done: t("keys.deleted", { name }) });
  const askRevoke = async () => {
    const yes = await confirm({
      title: t("keys.revokeTitle", { name }),
      body: t("keys.revokeBody"),
      act: t("keys.revoke"),
      danger: true,
    });
    if (yes) revoke.mutate();
  };
  const askRemoval = async () => {
    const yes = await confirm({
      title: t("keys.deleteTitle", { name }),
      body: t("keys.deleteBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return (
    <Menu
      trigger={
        <IconButton
          label={`${t("act.more")}: ${name}`}
          icon={<Ellipsis aria-hidden className="size-4" />}
          className="size-7"
          data-testid="key-menu"
        />
      }
    >
      <MenuItem
        disabled={apiKey.status !== "active"}
        icon={<Ban aria-hidden className="size-3.5" />}
        onSelect={() => void askRevoke()}
        testId="key-revoke"
      >
        {t("keys.revoke")}
      </MenuItem>
      <MenuItem
        danger
        icon={<Trash2 aria-hidden className="size-3.5" />}
        onSelect={() => void askRemoval()}
        testId="key-delete"
      >
        {t("act.delete")}
      </MenuItem>
    </Menu>
  );
}
