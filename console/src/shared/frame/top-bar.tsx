/** The top bar: search, language, theme, balance, account. */
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleUserRound, Languages, LogOut, Menu as MenuIcon, Monitor, Moon, Search, Sun } from "lucide-react";
import { useTranslation } from "react-i18next";
import { signOut } from "@/api/session";
import { IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuSeparator } from "@/ui/menu";
import { formatCredits } from "../format";
import { chooseLanguage, currentLanguage } from "../i18n";
import { useLiveState } from "../live";
import { useMe } from "../me";
import { useWrite } from "../mutation";
import { chooseTheme, type Theme, useTheme } from "../theme";
import { Bell } from "./bell";

const THEMES: Theme[] = ["light", "dark", "system"];
const THEME_ICONS = { light: Sun, dark: Moon, system: Monitor };

export function LanguageButton() {
  const { t } = useTranslation();
  const client = useQueryClient();
  // Some sentences come from the server, in the language they were asked for.
  const change = async () => {
    await chooseLanguage(currentLanguage() === "zh" ? "en" : "zh");
    await client.invalidateQueries();
  };
  return (
    <IconButton
      label={t("top.language")}
      icon={<Languages aria-hidden className="size-4" />}
      data-testid="language"
      onClick={() => void change()}
    />
  );
}

export function ThemeMenu() {
  const { t } = useTranslation();
  const theme = useTheme();
  const Icon = THEME_ICONS[theme];
  return (
    <Menu
      trigger={<IconButton label={t("top.theme")} icon={<Icon aria-hidden className="size-4" />} data-testid="theme" />}
    >
      {THEMES.map((choice) => (
        <MenuCheck key={choice} checked={theme === choice} onChange={() => chooseTheme(choice)}>
          {t(`top.themes.${choice}`)}
        </MenuCheck>
      ))}
    </Menu>
  );
}

const LIVE_TONES = { live: "bg-done", connecting: "bg-warn", lost: "bg-warn", off: "" } as const;

/** Whether events arrive by themselves; nothing is shown where nobody listens. */
function LiveDot() {
  const { t } = useTranslation();
  const state = useLiveState();
  if (state === "off") return null;
  const words = t(`top.live.${state}`);
  return (
    <span role="status" title={words} data-testid="live" data-state={state} className="flex size-6 justify-center">
      <span
        aria-hidden
        className={cx("m-auto size-2 rounded-full", LIVE_TONES[state], state !== "live" && "motion-safe:animate-pulse")}
      />
      <span className="sr-only">{words}</span>
    </span>
  );
}

export function TopBar({ onSearch, onDrawer }: { onSearch: () => void; onDrawer: () => void }) {
  const { t } = useTranslation();
  const me = useMe();
  const navigate = useNavigate();
  const leave = useWrite({
    run: signOut,
    onDone: () => void navigate({ to: "/sign-in", reloadDocument: true }),
  });
  const apple = navigator.platform.startsWith("Mac") || navigator.platform.startsWith("iP");
  return (
    <header className="flex h-12 shrink-0 items-center gap-1 border-b bg-panel px-2 sm:px-3">
      <IconButton
        className="md:hidden"
        label={t("nav.open")}
        icon={<MenuIcon aria-hidden className="size-4" />}
        onClick={onDrawer}
      />
      <button
        type="button"
        onClick={onSearch}
        data-testid="palette-open"
        className="flex h-8 min-w-0 max-w-80 flex-1 items-center gap-2 rounded-md border bg-sunken px-2.5 text-faint text-sm hover:border-line-strong pointer-coarse:h-10"
      >
        <Search aria-hidden className="size-3.5 shrink-0" />
        <span className="flex-1 truncate text-left">{t("top.search")}</span>
        <kbd className="font-mono text-xs pointer-coarse:hidden">{apple ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <div className="ml-auto flex items-center gap-0.5">
        <span
          className="tnum mr-1 whitespace-nowrap px-1 text-soft text-sm max-sm:hidden"
          title={t("top.balanceHint")}
          data-testid="balance"
        >
          {t("top.balance", { amount: formatCredits(me.balance) })}
        </span>
        <LiveDot />
        {me.is_admin ? <Bell /> : null}
        <LanguageButton />
        <ThemeMenu />
        <Menu
          trigger={
            <IconButton
              label={t("top.account", { name: me.username })}
              icon={<CircleUserRound aria-hidden className="size-4" />}
              data-testid="account"
            />
          }
        >
          <MenuLabel>
            {me.username}
            {me.is_admin ? ` · ${t("top.administrator")}` : ""}
          </MenuLabel>
          <MenuLabel>{t("top.balance", { amount: formatCredits(me.balance) })}</MenuLabel>
          <MenuSeparator />
          <MenuItem
            icon={<LogOut aria-hidden className="size-3.5" />}
            onSelect={() => leave.mutate()}
            testId="sign-out"
          >
            {t("top.signOut")}
          </MenuItem>
        </Menu>
      </div>
    </header>
  );
}
