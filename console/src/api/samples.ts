/** Sample files: lists, rows by page, edits, uploads. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Held, Item } from "./answers";
import { http, rest, unwrap } from "./client";
import { saveAnswer } from "./download";
import { toPage } from "./pages";
import { uploadForm } from "./upload";

export type SampleFile = Item<Held<"/api/data_files", "get">>;
export type SampleRow = { index: number; data: Record<string, unknown> };

export const filesQuery = (filter: { page?: number; pageSize?: number; q?: string } = {}) =>
  queryOptions({
    queryKey: ["files", "list", filter],
    queryFn: async () =>
      toPage(
        await unwrap(
          http.GET("/api/data_files", {
            params: { query: { page: filter.page ?? 1, page_size: filter.pageSize ?? 50, q: filter.q || undefined } },
          }),
        ),
      ),
    placeholderData: keepPreviousData,
  });

export const fileQuery = (fileId: number) =>
  queryOptions({
    queryKey: ["files", "one", fileId],
    queryFn: () => unwrap(http.GET("/api/data_files/{file_id}", { params: { path: { file_id: fileId } } })),
  });

/** Rows `(page - 1) * pageSize …` of the file as it stands, or of what `q` matches. */
export const rowsQuery = (fileId: number, page: number, pageSize: number, q: string) =>
  queryOptions({
    queryKey: ["files", "rows", fileId, q, pageSize, page],
    queryFn: async () => {
      const list = await unwrap(
        http.GET("/api/data_files/{file_id}/content", {
          params: { path: { file_id: fileId }, query: { page, page_size: pageSize, q: q || undefined } },
        }),
      );
      return toPage<SampleRow>(list as { items: SampleRow[]; total?: number | null; next?: string | null });
    },
    staleTime: 60_000,
  });

export async function replaceRow(fileId: number, index: number, row: Record<string, unknown>): Promise<void> {
  await rest(
    http.PUT("/api/data_files/{file_id}/content/{index}", {
      params: { path: { file_id: fileId, index } },
      body: row,
    }),
  );
}

export async function appendRows(fileId: number, items: Record<string, unknown>[]) {
  return unwrap(
    http.POST("/api/data_files/{file_id}/content", { params: { path: { file_id: fileId } }, body: { items } }),
  );
}

export async function deleteRows(fileId: number, indices: number[]) {
  return unwrap(
    http.DELETE("/api/data_files/{file_id}/content/batch", {
      params: { path: { file_id: fileId } },
      // The document cannot describe the body of a DELETE; the address could not hold many positions.
      body: { indices } as unknown as undefined,
    }),
  );
}

export async function deleteFile(fileId: number): Promise<void> {
  await rest(http.DELETE("/api/data_files/{file_id}", { params: { path: { file_id: fileId } } }));
}

export async function deleteFiles(fileIds: number[]): Promise<void> {
  await rest(http.POST("/api/data_files/batch_delete", { body: { file_ids: fileIds } }));
}

export type FileFormat = "jsonl" | "csv" | "utf-8";

/** Make converted files beside the originals. */
export async function convertFiles(fileIds: number[], targetFormat: FileFormat) {
  return unwrap(
    http.POST("/api/data_files/batch_convert", { body: { file_ids: fileIds, target_format: targetFormat } }),
  );
}

/** Send one file; `onProgress` hears 0…1. Raises ApiError. */
export function uploadFile(file: File, onProgress: (share: number) => void, signal: AbortSignal): Promise<unknown> {
  const form = new FormData();
  form.append("file", file, file.name);
  return uploadForm("/api/data_files/upload", form, onProgress, signal);
}

export function downloadFiles(fileIds: number[]): Promise<void> {
  return saveAnswer("/api/data_files/batch_download", { file_ids: fileIds }, "samples.zip");
}

export const fileDownloadUrl = (fileId: number, format: "as-is" | "csv") =>
  format === "csv" ? `/api/data_files/${fileId}/download_csv` : `/api/data_files/${fileId}/download`;
