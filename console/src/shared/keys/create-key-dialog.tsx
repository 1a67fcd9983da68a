/** Make a key: what it may do, for how long, within which limits. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { type CreatedKey, createKey, type NewKey } from "@/api/keys";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { TagInput } from "@/shared/tag-input";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox, Field, Input, Select } from "@/ui/field";

/** Scopes whose surfaces exist; the others follow with their pages. */
const SCOPES = ["relay", "datagen", "models", "admin"] as const;
type Scope = (typeof SCOPES)[number];
const EXPIRY_DAYS = { never: null, days30: 30, days90: 90, year: 365 } as const;
type Expiry = keyof typeof EXPIRY_DAYS;
const DAY_MS = 86_400_000;

interface KeyForm {
  name: string;
  scopes: Scope[];
  models: string[];
  networks: string[];
  expiry: Expiry;
  budget: string;
  rpm: string;
  concurrency: string;
}

const EMPTY: KeyForm = {
  name: "",
  scopes: ["relay"],
  models: [],
  networks: [],
  expiry: "never",
  budget: "",
  rpm: "",
  concurrency: "",
};

export function toKeyRequest(form: KeyForm, nowMs: number): NewKey {
  const request: NewKey = { name: form.name.trim(), type: "inference", scopes: form.scopes };
  const days = EXPIRY_DAYS[form.expiry];
  if (days !== null) request.expires_at = new Date(nowMs + days * DAY_MS).toISOString();
  if (form.models.length > 0) request.models = form.models;
  if (form.networks.length > 0) request.networks = form.networks;
  if (form.budget.trim() !== "") request.budget = Number(form.budget);
  if (form.rpm.trim() !== "") request.rpm = Number(form.rpm);
  if (form.concurrency.trim() !== "") request.concurrency = Number(form.concurrency);
  return request;
}

export function CreateKeyDialog({
  open,
  onOpenChange,
  onCreated,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onCreated: (key: CreatedKey) => void;
}) {
  const { t } = useTranslation();
  const me = useMe();
  const [form, setForm] = useState<KeyForm>(EMPTY);
  const set = (part: Partial<KeyForm>) => setForm((before) => ({ ...before, ...part }));
  const make = useWrite({
    run: () => createKey(toKeyRequest(form, Date.now())),
    refresh: [["keys"]],
    onDone: (key) => {
      setForm(EMPTY);
      onCreated(key);
    },
    onFailed: (error) => isApiError(error) && error.fields.length > 0,
  });
  const fields = isApiError(make.error) ? make.error.fields : [];
  const problem = (field: string) =>
    fields.find((item) => item.field === field || item.field.startsWith(`${field}[`))?.message;
  const scopes = SCOPES.filter((scope) => scope !== "admin" || me.is_admin);
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("keys.create")}
      closeLabel={t("act.close")}
      wide
      testId="key-dialog"
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t("act.cancel")}</Button>
          <Button
            look="primary"
            type="submit"
            form="create-key"
            busy={make.isPending}
            disabled={form.name.trim() === "" || form.scopes.length === 0}
            data-testid="key-submit"
          >
            {t("act.create")}
          </Button>
        </>
      }
    >
      <form
        id="create-key"
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate();
        }}
      >
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t("keys.name")} required error={problem("name")}>
            {(wiring) => (
              <Input
                {...wiring}
                value={form.name}
                maxLength={100}
                placeholder={t("keys.namePlaceholder")}
                data-testid="key-name"
                onChange={(event) => set({ name: event.target.value })}
              />
            )}
          </Field>
          <Field label={t("keys.expires")} error={problem("expires_at")}>
            {(wiring) => (
              <Select
                {...wiring}
                value={form.expiry}
                onChange={(event) => set({ expiry: event.target.value as Expiry })}
              >
                {(Object.keys(EXPIRY_DAYS) as Expiry[]).map((expiry) => (
                  <option key={expiry} value={expiry}>
                    {t(`keys.expiry.${expiry}`)}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        </div>
        <fieldset>
          <legend className="mb-1 font-medium text-sm">{t("keys.scopes")}</legend>
          <div className="grid gap-x-4 gap-y-1 sm:grid-cols-2">
            {scopes.map((scope) => (
              <Checkbox
                key={scope}
                label={
                  <>
                    {t(`keys.scope.${scope}`)} <span className="font-mono text-faint text-xs">{scope}</span>
                  </>
                }
                checked={form.scopes.includes(scope)}
                onChange={(event) =>
                  set({
                    scopes: event.target.checked
                      ? [...form.scopes, scope]
                      : form.scopes.filter((other) => other !== scope),
                  })
                }
              />
            ))}
          </div>
          {problem("scopes") ? (
            <p role="alert" className="mt-1 text-failed text-xs">
              {problem("scopes")}
            </p>
          ) : null}
        </fieldset>
        <details className="rounded-md border">
          <summary className="min-h-9 px-3 py-1.5 font-medium text-sm">{t("keys.limits")}</summary>
          <div className="flex flex-col gap-4 border-t p-3">
            <Field label={t("keys.models")} hint={t("keys.modelsHint")} error={problem("models")}>
              {(wiring) => (
                <TagInput
                  wiring={wiring}
                  values={form.models}
                  onChange={(models) => set({ models })}
                  removeLabel={(name) => t("keys.removeItem", { name })}
                />
              )}
            </Field>
            <Field label={t("keys.networks")} hint={t("keys.networksHint")} error={problem("networks")}>
              {(wiring) => (
                <TagInput
                  wiring={wiring}
                  values={form.networks}
                  onChange={(networks) => set({ networks })}
                  removeLabel={(name) => t("keys.removeItem", { name })}
                />
              )}
            </Field>
            <div className="grid gap-4 sm:grid-cols-3">
              {(["budget", "rpm", "concurrency"] as const).map((limit) => (
                <Field key={limit} label={t(`keys.${limit}`)} error={problem(limit)}>
                  {(wiring) => (
                    <Input
                      {...wiring}
                      type="number"
                      min={limit === "budget" ? 0 : 1}
                      step={limit === "budget" ? "any" : 1}
                      placeholder={t("state.unlimited")}
                      value={form[limit]}
                      onChange={(event) => set({ [limit]: event.target.value })}
                    />
                  )}
                </Field>
              ))}
            </div>
          </div>
        </details>
      </form>
    </Dialog>
  );
}
