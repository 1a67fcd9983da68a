/** Moments as clocks in a schedule's own zone show them, in the reader's language. */
import { NO_VALUE } from "@/shared/format";
import { currentLanguage } from "@/shared/i18n";
import { inZone } from "./timing";

export function useZoned(): (moment: string | null, timeZone: string) => string {
  const locale = currentLanguage() === "zh" ? "zh-CN" : "en-GB";
  return (moment, timeZone) => (moment === null ? NO_VALUE : inZone(moment, timeZone, locale));
}
