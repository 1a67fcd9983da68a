/** The filters above the log of calls, kept in the address. */
import { ChevronDown } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { CALL_STATUSES } from "@/api/calls";
import { SearchBox } from "@/shared/search-box";
import { numberOf, oneOf } from "@/shared/url-state";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Checkbox, Input, Select } from "@/ui/field";
import { type CallsUrl, isNarrowed, NO_FILTERS, SPANS, WAYS } from "./filters";

export interface CallFiltersProps {
  url: CallsUrl;
  setUrl: (part: Partial<CallsUrl>) => void;
  channels: readonly { id: number; name: string }[];
  isAdmin: boolean;
}

export function CallFilters({ url, setUrl, channels, isAdmin }: CallFiltersProps) {
  const { t } = useTranslation();
  const [more, setMore] = useState(false);
  // Another question begins at its own first page.
  const set = (part: Partial<CallsUrl>) => setUrl({ ...part, cursor: undefined });
  return (
    <div className="flex flex-1 flex-wrap items-center gap-2" data-testid="call-filters">
      <SearchBox
        label={t("calls.filter.search")}
        value={url.q ?? ""}
        onChange={(q) => set({ q: q || undefined })}
        className="relative w-full sm:w-80"
      />
      <Choice
        label={t("calls.filter.status")}
        value={url.status}
        onChange={(value) => set({ status: oneOf(value, CALL_STATUSES) })}
        testId="calls-status"
      >
        {CALL_STATUSES.map((status) => (
          <option key={status} value={status}>
            {t(`calls.status.${status}`)}
          </option>
        ))}
      </Choice>
      <Button
        look="quiet"
        aria-expanded={more}
        className="sm:hidden"
        icon={<ChevronDown aria-hidden className={cx("size-3.5 transition-transform", more && "rotate-180")} />}
        onClick={() => setMore(!more)}
      >
        {t("calls.filter.label")}
      </Button>
      <div className={cx("flex flex-wrap items-center gap-2 sm:contents", !more && "max-sm:hidden")}>
        <Choice
          label={t("calls.filter.span")}
          value={url.span}
          onChange={(value) => set({ span: oneOf(value, SPANS) })}
          testId="calls-span"
        >
          {SPANS.map((span) => (
            <option key={span} value={span}>
              {t(`calls.filter.spans.${span}`)}
            </option>
          ))}
        </Choice>
        {isAdmin ? (
          <Choice
            label={t("calls.filter.channel")}
            value={url.channel === undefined ? undefined : String(url.channel)}
            onChange={(value) => set({ channel: numberOf(value) })}
          >
            {channels.map((channel) => (
              <option key={channel.id} value={String(channel.id)}>
                {channel.name}
              </option>
            ))}
          </Choice>
        ) : null}
        <Choice label={t("calls.filter.stream")} value={url.way} onChange={(value) => set({ way: oneOf(value, WAYS) })}>
          {WAYS.map((way) => (
            <option key={way} value={way}>
              {t(`calls.filter.${way}`)}
            </option>
          ))}
        </Choice>
        <Typed
          label={t("calls.filter.model")}
          value={url.model}
          onChange={(model) => set({ model })}
          className="w-40 font-mono text-xs"
        />
        <Typed
          label={t("calls.filter.slow")}
          value={url.slow === undefined ? undefined : String(url.slow)}
          onChange={(text) => set({ slow: numberOf(text) })}
          className="w-44"
          number
        />
        {isAdmin ? (
          <Typed
            label={t("calls.filter.user")}
            value={url.user === undefined ? undefined : String(url.user)}
            onChange={(text) => set({ user: numberOf(text) })}
            className="w-28"
            number
          />
        ) : null}
        <Checkbox
          label={t("calls.filter.cached")}
          checked={url.cached === true}
          onChange={(event) => set({ cached: event.target.checked || undefined })}
        />
        {isAdmin ? (
          <Checkbox
            label={t("calls.filter.mine")}
            checked={url.mine === true}
            onChange={(event) => set({ mine: event.target.checked || undefined })}
          />
        ) : null}
      </div>
      {isNarrowed(url) ? (
        <Button small look="quiet" onClick={() => setUrl(NO_FILTERS)} data-testid="clear-filters">
          {t("table.clearFilters")}
        </Button>
      ) : null}
    </div>
  );
}

function Choice({
  label,
  value,
  onChange,
  children,
  testId,
}: {
  label: string;
  value: string | undefined;
  onChange: (value: string) => void;
  children: ReactNode;
  testId?: string;
}) {
  const { t } = useTranslation();
  return (
    <Select
      aria-label={label}
      className="w-36"
      value={value ?? ""}
      data-testid={testId}
      onChange={(event) => onChange(event.target.value)}
    >
      <option value="">{`${label}: ${t("state.all")}`}</option>
      {children}
    </Select>
  );
}

/** A field that is asked for when it is left or Enter is pressed. */
function Typed({
  label,
  value,
  onChange,
  className,
  number,
}: {
  label: string;
  value: string | undefined;
  onChange: (text: string | undefined) => void;
  className: string;
  number?: boolean;
}) {
  return (
    <Input
      key={value ?? ""}
      type={number ? "number" : "text"}
      min={number ? 0 : undefined}
      aria-label={label}
      placeholder={label}
      className={className}
      spellCheck={false}
      autoCapitalize="off"
      defaultValue={value ?? ""}
      onBlur={(event) => onChange(event.target.value.trim() || undefined)}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
      }}
    />
  );
}
