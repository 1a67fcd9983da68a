/** A moment as a `datetime-local` field shows it: in the reader's zone, to the minute. */
export function localInput(moment: string | undefined): string {
  const at = moment === undefined ? Number.NaN : Date.parse(moment);
  if (Number.isNaN(at)) return "";
  const zoned = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return zoned.toISOString().slice(0, 16);
}
