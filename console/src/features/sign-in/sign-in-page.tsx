/** The door: sign in, or register. */
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { meQuery } from "@/api/session";
import { Mark } from "@/shared/frame/rail";
import { SignInForm } from "@/shared/frame/sign-in-form";
import { LanguageButton, ThemeMenu } from "@/shared/frame/top-bar";
import { safeNext } from "@/shared/safe-next";
import { type Search, useUrlState } from "@/shared/url-state";
import { RegisterForm } from "./register-form";

const parseNext = (search: Search) => ({ next: safeNext(search.next) });

function Door({ title, children, below }: { title: string; children: ReactNode; below: ReactNode }) {
  const { t } = useTranslation();
  useEffect(() => {
    document.title = `${title} · Tidemill`;
  }, [title]);
  return (
    <div className="flex min-h-dvh flex-col">
      <div className="flex justify-end gap-0.5 p-2">
        <LanguageButton />
        <ThemeMenu />
      </div>
      <main className="mx-auto flex w-full max-w-sm flex-1 flex-col justify-center px-4 pb-[16dvh]">
        <div className="mb-5 flex items-center gap-3">
          <Mark className="size-9" />
          <div>
            <p className="font-semibold text-lg leading-tight tracking-tight">Tidemill</p>
            <p className="text-soft text-xs">{t("signIn.sentence")}</p>
          </div>
        </div>
        <div className="rounded-md border bg-panel p-4">
          <h1 className="mb-3 font-semibold text-lg">{title}</h1>
          {children}
        </div>
        <div className="mt-3 px-1 text-soft text-sm">{below}</div>
      </main>
    </div>
  );
}

function useEnter() {
  const [{ next }] = useUrlState(parseNext);
  const client = useQueryClient();
  const navigate = useNavigate();
  return async () => {
    client.removeQueries();
    await client.prefetchQuery(meQuery);
    await navigate({ href: next, replace: true });
  };
}

export function SignInPage() {
  const { t } = useTranslation();
  const enter = useEnter();
  return (
    <Door
      title={t("signIn.title")}
      below={
        <>
          <p>
            {t("signIn.noAccount")}{" "}
            <Link to="/register" search={(before) => before} className="text-accent-text underline underline-offset-2">
              {t("signIn.registerTitle")}
            </Link>
          </p>
          <p className="mt-3 text-faint text-xs">{t("signIn.firstTime")}</p>
        </>
      }
    >
      <SignInForm onDone={() => void enter()} />
    </Door>
  );
}

export function RegisterPage() {
  const { t } = useTranslation();
  const enter = useEnter();
  return (
    <Door
      title={t("signIn.registerTitle")}
      below={
        <p>
          {t("signIn.haveAccount")}{" "}
          <Link to="/sign-in" search={(before) => before} className="text-accent-text underline underline-offset-2">
            {t("signIn.title")}
          </Link>
        </p>
      }
    >
      <RegisterForm onDone={() => void enter()} />
    </Door>
  );
}
