/** Make an account. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { register } from "@/api/session";
import { useWrite } from "@/shared/mutation";
import { errorSentence } from "@/shared/notify";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";

export function RegisterForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const [form, setForm] = useState({ username: "", password: "", email: "" });
  const set = (part: Partial<typeof form>) => setForm((before) => ({ ...before, ...part }));
  const enroll = useWrite({
    run: () =>
      register({
        username: form.username.trim(),
        password: form.password,
        ...(form.email.trim() ? { email: form.email.trim() } : {}),
      }),
    onDone,
    onFailed: () => true,
  });
  const wrong = enroll.error;
  const problem = (field: string) =>
    isApiError(wrong) ? wrong.fields.find((item) => item.field === field)?.message : undefined;
  const placed = problem("username") ?? problem("password") ?? problem("email");
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        enroll.mutate();
      }}
    >
      <Field label={t("signIn.username")} hint={t("signIn.usernameHint")} error={problem("username")}>
        {(wiring) => (
          <Input
            {...wiring}
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            minLength={3}
            maxLength={50}
            autoFocus
            value={form.username}
            onChange={(event) => set({ username: event.target.value })}
          />
        )}
      </Field>
      <Field label={t("signIn.password")} hint={t("signIn.passwordHint")} error={problem("password")}>
        {(wiring) => (
          <Input
            {...wiring}
            name="password"
            type="password"
            autoComplete="new-password"
            required
            minLength={8}
            maxLength={128}
            value={form.password}
            onChange={(event) => set({ password: event.target.value })}
          />
        )}
      </Field>
      <Field label={t("signIn.email")} error={problem("email")}>
        {(wiring) => (
          <Input
            {...wiring}
            name="email"
            type="email"
            autoComplete="email"
            value={form.email}
            onChange={(event) => set({ email: event.target.value })}
          />
        )}
      </Field>
      {wrong && !placed ? (
        <p role="alert" className="rounded-md bg-failed-soft px-2.5 py-2 text-failed text-sm">
          {errorSentence(wrong)}
        </p>
      ) : null}
      <Button type="submit" look="primary" busy={enroll.isPending}>
        {t("signIn.register")}
      </Button>
    </form>
  );
}
