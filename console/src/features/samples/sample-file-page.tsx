/** One sample file: its facts, what could not be read, and its rows. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ChevronLeft, Download, Ellipsis, FileSpreadsheet, Play, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { deleteFile, deleteRows, fileDownloadUrl, fileQuery, rowsQuery, type SampleFile } from "@/api/samples";
import { useConfirm } from "@/shared/confirm";
import { formatBytes, formatNumber } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { SearchBox } from "@/shared/search-box";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { type Search, textOf, usePathPart, useUrlState } from "@/shared/url-state";
import { Empty, Facts, Panel, SkeletonRows } from "@/ui/blocks";
import { Button, buttonClass, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { AppendDialog } from "./append-dialog";
import { MAX_COLUMNS, RowGrid } from "./row-grid";

const ICON = "size-3.5";
const ROWS_PER_PAGE = 100;
const parse = (search: Search) => ({ q: textOf(search.q) ?? "" });

export function SampleFilePage() {
  const { t } = useTranslation();
  const fileId = Number(usePathPart("fileId"));
  const { data: file, error, refetch } = useQuery(fileQuery(fileId));
  if (error && !file) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (!file) return <SkeletonRows label={t("state.loading")} />;
  return <FileView file={file} />;
}

function FileView({ file }: { file: SampleFile }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const confirm = useConfirm();
  const [appending, setAppending] = useState(false);
  const remove = useWrite({
    run: () => deleteFile(file.id),
    refresh: [["files", "list"]],
    done: t("samples.deleted"),
    onDone: () => void navigate({ to: "/samples" }),
  });
  const askRemoval = async () => {
    const yes = await confirm({
      title: t("samples.deleteOne"),
      body: t("samples.deleteOneBody", { name: file.filename }),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return (
    <>
      <PageHead
        title={file.filename}
        above={
          <Link to="/samples" className="mb-1 inline-flex items-center gap-0.5 text-soft text-xs hover:text-text">
            <ChevronLeft aria-hidden className={ICON} />
            {t("samples.back")}
          </Link>
        }
        actions={
          <>
            <Button icon={<Plus aria-hidden className={ICON} />} onClick={() => setAppending(true)}>
              {t("samples.append")}
            </Button>
            <Menu trigger={<IconButton label={t("act.more")} icon={<Ellipsis aria-hidden className="size-4" />} />}>
              <MenuItem
                href={fileDownloadUrl(file.id, "as-is")}
                download
                icon={<Download aria-hidden className={ICON} />}
              >
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
              <MenuItem danger icon={<Trash2 aria-hidden className={ICON} />} onSelect={() => void askRemoval()}>
                {t("act.delete")}
              </MenuItem>
            </Menu>
            <Link to="/tasks/new" search={{ file_id: file.id }} className={buttonClass("primary")}>
              <Play aria-hidden className={ICON} />
              {t("samples.startTask")}
            </Link>
          </>
        }
      />
      <div className="flex flex-col gap-3">
        <Panel>
          <Facts
            items={[
              { label: t("samples.rows"), value: formatNumber(file.rows) },
              { label: t("samples.columns"), value: formatNumber(file.columns.length) },
              { label: t("samples.size"), value: formatBytes(file.file_size) },
              { label: t("samples.encoding"), value: file.encoding },
              { label: t("samples.version"), value: formatNumber(file.version) },
              { label: t("samples.updated"), value: <Time at={file.updated_at} /> },
            ]}
          />
        </Panel>
        <Problems file={file} />
        <Rows file={file} onAppend={() => setAppending(true)} />
      </div>
      <AppendDialog fileId={file.id} columns={file.columns} open={appending} onOpenChange={setAppending} />
    </>
  );
}

function Problems({ file }: { file: SampleFile }) {
  const { t } = useTranslation();
  if (file.problem_count === 0) return null;
  return (
    <details className="rounded-md border bg-panel" open={file.problem_count <= 5} data-testid="problems">
      <summary className="flex min-h-10 items-center gap-2 px-3 py-1.5 text-sm">
        <span className="font-semibold">{t("samples.problemsTitle")}</span>
        <span className="text-soft">{t("samples.problemsBody", { count: file.problem_count })}</span>
      </summary>
      <ul className="max-h-60 divide-y overflow-y-auto border-t text-sm">
        {file.problems.map((problem) => (
          <li key={problem.line} className="grid grid-cols-[7rem_1fr] gap-2 px-3 py-1.5">
            <span className="tnum text-warn">{t("samples.line", { line: formatNumber(problem.line) })}</span>
            <span className="text-soft">{problem.reason}</span>
          </li>
        ))}
      </ul>
      {file.problem_count > file.problems.length ? (
        <p className="border-t px-3 py-1.5 text-faint text-xs">
          {t("samples.problemsMore", { shown: file.problems.length })}
        </p>
      ) : null}
    </details>
  );
}

function Rows({ file, onAppend }: { file: SampleFile; onAppend: () => void }) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const [{ q }, setUrl] = useUrlState(parse);
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const { data: matches } = useQuery({ ...rowsQuery(file.id, 1, ROWS_PER_PAGE, q), enabled: q !== "" });
  const total = q === "" ? file.rows : (matches?.total ?? 0);
  const remove = useWrite({
    run: (indices: number[]) => deleteRows(file.id, indices),
    refresh: [["files"]],
    done: (answer) => t("samples.rowsDeleted", { count: answer.deleted }),
    onDone: () => setPicked(new Set()),
  });
  const askRemoval = async () => {
    const indices = [...picked].sort((one, other) => one - other);
    const yes = await confirm({
      title: t("samples.deleteRows", { count: indices.length }),
      body: t("samples.deleteRowsBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate(indices);
  };
  return (
    <Panel
      flush
      title={
        picked.size > 0 ? (
          <span className="tnum">{t("table.selected", { count: picked.size })}</span>
        ) : (
          <SearchBox label={t("samples.rowSearch")} value={q} onChange={(next) => setUrl({ q: next })} />
        )
      }
      aside={
        picked.size > 0 ? (
          <>
            <Button
              small
              icon={<Trash2 aria-hidden className={ICON} />}
              busy={remove.isPending}
              onClick={() => void askRemoval()}
            >
              {t("act.delete")}
            </Button>
            <Button small look="quiet" onClick={() => setPicked(new Set())}>
              {t("table.clear")}
            </Button>
          </>
        ) : (
          <span className="tnum text-faint text-xs">
            {file.columns.length > MAX_COLUMNS ? `${t("samples.tooLong", { count: MAX_COLUMNS })} ` : ""}
            {t("table.total", { count: total })}
          </span>
        )
      }
    >
      {file.rows === 0 ? (
        <Empty title={t("samples.noRows")} action={<Button onClick={onAppend}>{t("samples.append")}</Button>}>
          {t("samples.noRowsBody")}
        </Empty>
      ) : q !== "" && matches && total === 0 ? (
        <Empty
          title={t("samples.noRowMatch", { q })}
          action={<Button onClick={() => setUrl({ q: "" })}>{t("table.clearFilters")}</Button>}
        />
      ) : (
        <RowGrid
          key={q}
          fileId={file.id}
          columns={file.columns}
          total={total}
          q={q}
          picked={picked}
          onPick={setPicked}
        />
      )}
    </Panel>
  );
}
