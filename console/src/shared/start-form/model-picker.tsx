/** Which models make the rows; none chosen means all. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Model } from "@/api/tasks";
import { useMe } from "@/shared/me";
import { Checkbox } from "@/ui/field";

export function ModelPicker({
  models,
  chosen,
  onChange,
  error,
}: {
  models: readonly Model[] | undefined;
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
  error?: string;
}) {
  const { t } = useTranslation();
  const me = useMe();
  return (
    <fieldset className="min-w-0" aria-invalid={error ? true : undefined}>
      <legend className="mb-1 font-medium text-sm">{t("tasks.form.models")}</legend>
      {models?.length === 0 ? (
        <p className="text-soft text-sm">
          {t("tasks.form.noModels")}{" "}
          <Link to="/local-models" className="text-accent-text underline underline-offset-2">
            {t("tasks.form.toLocalModels")}
          </Link>
          {me.is_admin ? (
            <>
              {" · "}
              <Link to="/channels" className="text-accent-text underline underline-offset-2">
                {t("tasks.form.toChannels")}
              </Link>
            </>
          ) : null}
        </p>
      ) : (
        <div className="flex flex-wrap gap-x-4 gap-y-1" data-testid="start-models">
          {models?.map((model) => (
            <Checkbox
              key={model.name}
              label={<span className="font-mono text-xs">{model.name}</span>}
              checked={chosen.includes(model.name)}
              onChange={(event) =>
                onChange(event.target.checked ? [...chosen, model.name] : chosen.filter((name) => name !== model.name))
              }
            />
          ))}
        </div>
      )}
      <p className="mt-1 text-faint text-xs">{t("tasks.form.modelsHint")}</p>
      {error ? (
        <p role="alert" className="mt-1 text-failed text-xs">
          {error}
        </p>
      ) : null}
    </fieldset>
  );
}
