/** The sign-in form, on its own page and over a page whose session has run out. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { type Session, signIn } from "@/api/session";
import { Button } from "@/ui/button";
import { Field, Input } from "@/ui/field";
import { useWrite } from "../mutation";
import { errorSentence } from "../notify";

export function SignInForm({ username = "", onDone }: { username?: string; onDone: (session: Session) => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState(username);
  const [password, setPassword] = useState("");
  const enter = useWrite({
    run: () => signIn({ username: name.trim(), password }),
    onDone,
    onFailed: () => true,
  });
  const wrong = enter.error;
  const problems = isApiError(wrong) ? wrong.fields : [];
  const problem = (field: string) => problems.find((item) => item.field === field)?.message;
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        enter.mutate();
      }}
    >
      <Field label={t("signIn.username")} error={problem("username")}>
        {(wiring) => (
          <Input
            {...wiring}
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            autoFocus={username === ""}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label={t("signIn.password")} error={problem("password")}>
        {(wiring) => (
          <Input
            {...wiring}
            name="password"
            type="password"
            autoComplete="current-password"
            required
            autoFocus={username !== ""}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
      </Field>
      {wrong && problems.length === 0 ? (
        <p
          role="alert"
          className="rounded-md bg-failed-soft px-2.5 py-2 text-failed text-sm"
          data-testid="sign-in-error"
        >
          {errorSentence(wrong)}
        </p>
      ) : null}
      <Button type="submit" look="primary" busy={enter.isPending} data-testid="sign-in">
        {t("signIn.enter")}
      </Button>
    </form>
  );
}
