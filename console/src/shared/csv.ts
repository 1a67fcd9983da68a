/** CSV for the clipboard. Cells that a spreadsheet would run as a formula are made plain text. */

type Cell = string | number;

function escapeCell(cell: Cell): string {
  const text = typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toCsv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => row.map(escapeCell).join(",")).join("\r\n");
}
