/** One routing rule: for whom, how a channel is chosen, where, and what callers are held to. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { addRule, changeRule, RULE_KINDS, type Rule, type RuleKind, STRATEGIES, type Strategy } from "@/api/routes";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { oneOf } from "@/shared/url-state";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input, Select } from "@/ui/field";
import { STRATEGY_WORDS } from "./words";

interface RuleForm {
  kind: RuleKind;
  name: string;
  strategy: Strategy | "";
  region: string;
  rpm: string;
  tpm: string;
  maxConcurrent: string;
  continues: "" | "on" | "off";
}

const CONTINUES = ["", "on", "off"] as const;
const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
const limit = (value: string) => (value.trim() === "" ? null : Number(value));

function formOf(rule: Rule | undefined): RuleForm {
  return {
    kind: rule?.kind ?? "global",
    name: rule?.name ?? "",
    strategy: rule?.strategy ?? "",
    region: rule?.region ?? "",
    rpm: text(rule?.rpm),
    tpm: text(rule?.tpm),
    maxConcurrent: text(rule?.max_concurrent),
    continues: rule?.continues === true ? "on" : rule?.continues === false ? "off" : "",
  };
}

export function RuleSheet({ rule, onClose }: { rule: Rule | undefined; onClose: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState(() => formOf(rule));
  const set = (part: Partial<RuleForm>) => setForm((before) => ({ ...before, ...part }));
  const says = {
    strategy: form.strategy === "" ? null : form.strategy,
    region: form.region.trim() === "" ? null : form.region.trim(),
    rpm: limit(form.rpm),
    tpm: limit(form.tpm),
    max_concurrent: limit(form.maxConcurrent),
    continues: form.continues === "" ? null : form.continues === "on",
  };
  const save = useWrite({
    run: () =>
      rule
        ? changeRule(rule.id, says)
        : addRule({ kind: form.kind, name: form.kind === "global" ? "" : form.name.trim(), ...says }),
    refresh: [["routes"]],
    done: t("rules.saved"),
    onDone: onClose,
    onFailed: (error) => {
      if (!isApiError(error) || error.fields.length === 0) notify.failed(error);
      return true;
    },
  });
  const said = isApiError(save.error) ? save.error.fields : [];
  const problem = (field: string) => said.find((item) => item.field === field)?.message;
  const number = (name: "rpm" | "tpm" | "maxConcurrent", field: string, label: string) => (
    <Field label={label} error={problem(field)}>
      {(wiring) => (
        <Input
          {...wiring}
          type="number"
          min={1}
          value={form[name]}
          placeholder={t("state.unlimited")}
          data-testid={`rule-${field}`}
          onChange={(event) => set({ [name]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <Dialog
      open
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
      place="side"
      title={rule ? t("rules.editTitle") : t("rules.add")}
      description={t("rules.sheetSentence")}
      closeLabel={t("act.close")}
      testId="rule-sheet"
      footer={
        <>
          <Button onClick={onClose}>{t("act.cancel")}</Button>
          <Button look="primary" type="submit" form="rule-form" busy={save.isPending} data-testid="rule-save">
            {rule ? t("act.save") : t("act.add")}
          </Button>
        </>
      }
    >
      <form
        id="rule-form"
        className="flex flex-col gap-4"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <div className="grid grid-cols-[9rem_1fr] gap-4">
          <Field label={t("rules.for")} error={problem("kind")}>
            {(wiring) => (
              <Select
                {...wiring}
                value={form.kind}
                disabled={rule !== undefined}
                data-testid="rule-kind"
                onChange={(event) => set({ kind: oneOf(event.target.value, RULE_KINDS) ?? "global" })}
              >
                {RULE_KINDS.map((kind) => (
                  <option key={kind} value={kind}>
                    {t(`rules.kinds.${kind}`)}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          {form.kind === "global" ? null : (
            <Field label={t(`rules.names.${form.kind}`)} error={problem("name")} required>
              {(wiring) => (
                <Input
                  {...wiring}
                  value={form.name}
                  disabled={rule !== undefined}
                  spellCheck={false}
                  autoCapitalize="off"
                  data-testid="rule-name"
                  onChange={(event) => set({ name: event.target.value })}
                />
              )}
            </Field>
          )}
        </div>
        <Field
          label={t("rules.strategy")}
          hint={form.strategy === "" ? t("rules.inherit") : t(`rules.hints.${form.strategy}`)}
          error={problem("strategy")}
        >
          {(wiring) => (
            <Select
              {...wiring}
              value={form.strategy}
              data-testid="rule-strategy"
              onChange={(event) => set({ strategy: oneOf(event.target.value, STRATEGIES) ?? "" })}
            >
              <option value="">{t("rules.asWider")}</option>
              {STRATEGIES.map((strategy) => (
                <option key={strategy} value={strategy}>
                  {t(STRATEGY_WORDS[strategy])}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("channels.region")} hint={t("rules.regionHint")} error={problem("region")}>
          {(wiring) => (
            <Input {...wiring} value={form.region} onChange={(event) => set({ region: event.target.value })} />
          )}
        </Field>
        <Field label={t("rules.continues")} hint={t("rules.continuesHint")} error={problem("continues")}>
          {(wiring) => (
            <Select
              {...wiring}
              value={form.continues}
              data-testid="rule-continues"
              onChange={(event) => set({ continues: oneOf(event.target.value, CONTINUES) ?? "" })}
            >
              <option value="">{t("rules.asWider")}</option>
              <option value="on">{t("rules.continuesOn")}</option>
              <option value="off">{t("rules.continuesOff")}</option>
            </Select>
          )}
        </Field>
        <div className="grid gap-4 sm:grid-cols-3">
          {number("rpm", "rpm", t("channels.rpm"))}
          {number("tpm", "tpm", t("channels.tpm"))}
          {number("maxConcurrent", "max_concurrent", t("channels.maxConcurrent"))}
        </div>
        <p className="text-faint text-xs">{t(form.kind === "model" ? "rules.limitsOfModel" : "rules.limitsOfUser")}</p>
      </form>
    </Dialog>
  );
}
