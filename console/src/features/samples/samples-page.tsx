/** The list of sample files. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Download, Ellipsis, FileSpreadsheet, FileStack, Play, RefreshCw, Trash2, TriangleAlert } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import {
  convertFiles,
  deleteFile,
  deleteFiles,
  downloadFiles,
  type FileFormat,
  fileDownloadUrl,
  filesQuery,
  type SampleFile,
} from "@/api/samples";
import { useConfirm } from "@/shared/confirm";
import { formatBytes, formatNumber } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { PageHead } from "@/shared/page-head";
import { SearchBox } from "@/shared/search-box";
import { type Column, Pager, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { DropZone, UploadList } from "@/shared/upload/drop-zone";
import { useUploads } from "@/shared/upload/use-uploads";
import { pageOf, type Search, textOf, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { StateBadge } from "@/ui/state";

const PAGE_SIZE = 50;
const FORMATS: readonly FileFormat[] = ["jsonl", "csv", "utf-8"];
const ICON = "size-3.5";
const parse = (search: Search) => ({ page: pageOf(search.page), q: textOf(search.q) ?? "" });

export function SamplesPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [{ page, q }, setUrl] = useUrlState(parse);
  const { data, error, refetch } = useQuery(filesQuery({ page, pageSize: PAGE_SIZE, q }));
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const ids = [...picked].map(Number);
  const { uploads, add, cancel, clear } = useUploads();
  const remove = useRemoval(() => setPicked(new Set()));
  const convert = useWrite({
    run: (target: FileFormat) => convertFiles(ids, target),
    refresh: [["files"]],
    done: (answer) => t("samples.converted", { count: answer.files.length }),
    onDone: (answer) => {
      setPicked(new Set());
      for (const trouble of answer.errors)
        notify.failed(new Error([trouble.filename, trouble.message].filter(Boolean).join(": ")));
    },
  });
  const zip = useWrite({ run: (ids: number[]) => downloadFiles(ids) });
  const columns = useColumns(remove.one);
  const nothingYet = data?.items.length === 0 && q === "" && page === 1;

  return (
    <>
      <PageHead title={t("samples.title")} hint={t("samples.sentence")} />
      <div className="flex flex-col gap-3">
        <DropZone onFiles={add} tall={nothingYet} />
        <UploadList uploads={uploads} onCancel={cancel} onClear={clear} />
        {error && !data ? (
          <Trouble error={error} onRetry={() => void refetch()} />
        ) : (
          <Table
            name="samples"
            label={t("samples.title")}
            rowTestId="sample-file"
            columns={columns}
            rows={data?.items}
            rowKey={(file) => String(file.id)}
            onOpen={(file) => void navigate({ to: "/samples/$fileId", params: { fileId: String(file.id) } })}
            filters={
              <SearchBox
                label={t("samples.searchPlaceholder")}
                value={q}
                onChange={(next) => setUrl({ q: next, page: undefined })}
              />
            }
            selection={{
              keys: picked,
              onChange: setPicked,
              actions: (
                <>
                  <Button
                    small
                    icon={<Download aria-hidden className={ICON} />}
                    busy={zip.isPending}
                    onClick={() => zip.mutate(ids)}
                  >
                    {t("samples.downloadZip")}
                  </Button>
                  <Menu
                    align="start"
                    trigger={
                      <Button small icon={<RefreshCw aria-hidden className={ICON} />} busy={convert.isPending}>
                        {t("samples.convert")}
                      </Button>
                    }
                  >
                    {FORMATS.map((format) => (
                      <MenuItem key={format} onSelect={() => convert.mutate(format)}>
                        {t(`samples.convertTo.${format === "utf-8" ? "utf8" : format}`)}
                      </MenuItem>
                    ))}
                  </Menu>
                  <Button small icon={<Trash2 aria-hidden className={ICON} />} onClick={() => void remove.many(ids)}>
                    {t("act.delete")}
                  </Button>
                </>
              ),
            }}
            empty={
              q !== "" ? (
                <Empty
                  title={t("table.noMatch")}
                  action={<Button onClick={() => setUrl({ q: "" })}>{t("table.clearFilters")}</Button>}
                />
              ) : (
                <Empty icon={<FileStack aria-hidden />} title={t("samples.emptyTitle")}>
                  {t("samples.emptyBody")}
                </Empty>
              )
            }
            footer={
              <Pager
                page={page}
                pageSize={PAGE_SIZE}
                total={data?.total ?? null}
                onPage={(next) => setUrl({ page: next }, { push: true })}
              />
            }
          />
        )}
      </div>
    </>
  );
}

function useRemoval(onGone: () => void) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const drop = useWrite({
    run: (ids: number[]) => (ids.length === 1 && ids[0] !== undefined ? deleteFile(ids[0]) : deleteFiles(ids)),
    refresh: [["files"]],
    done: t("samples.deleted"),
    onDone: onGone,
  });
  return {
    one: async (file: SampleFile) => {
      const yes = await confirm({
        title: t("samples.deleteOne"),
        body: t("samples.deleteOneBody", { name: file.filename }),
        act: t("act.delete"),
        danger: true,
      });
      if (yes) drop.mutate([file.id]);
    },
    many: async (ids: number[]) => {
      const yes = await confirm({
        title: t("samples.deleteMany", { count: ids.length }),
        body: t("samples.deleteManyBody"),
        act: t("act.delete"),
        danger: true,
      });
      if (yes) drop.mutate(ids);
    },
  };
}

export function ProblemBadge({ file }: { file: SampleFile }): ReactNode {
  const { t } = useTranslation();
  if (file.problem_count === 0) return <span className="text-faint">{t("samples.noProblems")}</span>;
  return <StateBadge tone="warn">{t("samples.problemCount", { count: file.problem_count })}</StateBadge>;
}

function useColumns(onDelete: (file: SampleFile) => Promise<void>): Column<SampleFile>[] {
  const { t } = useTranslation();
  return [
    {
      id: "name",
      head: t("samples.name"),
      fixed: true,
      text: (file) => file.filename,
      cell: (file) => (
        <span className="flex items-center gap-1.5">
          <Link
            to="/samples/$fileId"
            params={{ fileId: String(file.id) }}
            className="font-medium hover:underline"
            tabIndex={-1}
          >
            {file.filename}
          </Link>
          {file.problem_count > 0 ? (
            <TriangleAlert aria-hidden className="size-3.5 shrink-0 text-warn md:hidden" />
          ) : null}
        </span>
      ),
    },
    {
      id: "rows",
      head: t("samples.rows"),
      right: true,
      text: (file) => file.rows,
      cell: (file) => formatNumber(file.rows),
    },
    {
      id: "columns",
      head: t("samples.columns"),
      from: "lg",
      text: (file) => file.columns.join(" "),
      cell: (file) => (
        <span className="line-clamp-1 max-w-72 font-mono text-soft text-xs" title={file.columns.join(", ")}>
          {file.columns.join(", ")}
        </span>
      ),
    },
    {
      id: "size",
      head: t("samples.size"),
      right: true,
      from: "sm",
      text: (file) => file.file_size,
      cell: (file) => formatBytes(file.file_size),
    },
    {
      id: "encoding",
      head: t("samples.encoding"),
      from: "xl",
      text: (file) => file.encoding,
      cell: (file) => <span className="text-soft">{file.encoding}</span>,
    },
    {
      id: "problems",
      head: t("samples.problems"),
      from: "md",
      text: (file) => file.problem_count,
      cell: (file) => <ProblemBadge file={file} />,
    },
    {
      id: "updated",
      head: t("samples.updated"),
      from: "sm",
      text: (file) => file.updated_at,
      cell: (file) => <Time at={file.updated_at} />,
    },
    {
      id: "actions",
      head: "",
      fixed: true,
      right: true,
      className: "w-10",
      cell: (file) => (
        <Menu
          trigger={
            <IconButton
              label={`${t("act.more")}: ${file.filename}`}
              icon={<Ellipsis aria-hidden className="size-4" />}
              className="size-7"
            />
          }
        >
          <StartItem fileId={file.id} />
          <MenuItem href={fileDownloadUrl(file.id, "as-is")} download icon={<Download aria-hidden className={ICON} />}>
            {t("samples.downloadAsIs")}
          </MenuItem>
          <MenuItem
            href={fileDownloadUrl(file.id, "csv")}
            download
            icon={<FileSpreadsheet aria-hidden className={ICON} />}
          >
            {t("samples.downloadCsv")}
          </MenuItem>
          <MenuSeparator />
          <MenuItem danger icon={<Trash2 aria-hidden className={ICON} />} onSelect={() => void onDelete(file)}>
            {t("act.delete")}
          </MenuItem>
        </Menu>
      ),
    },
  ];
}

function StartItem({ fileId }: { fileId: number }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return (
    <MenuItem
      icon={<Play aria-hidden className={ICON} />}
      onSelect={() => void navigate({ to: "/tasks/new", search: { file_id: fileId } })}
    >
      {t("samples.startTask")}
    </MenuItem>
  );
}
