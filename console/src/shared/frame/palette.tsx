/** ⌘K: go to a page, open an object by its id, or do something, without the mouse. Loaded when first opened. */
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { ArrowRight, FilePlus2, Languages, Moon, Play, Sun } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { chooseLanguage, currentLanguage } from "../i18n";
import { useMe } from "../me";
import { navFor } from "../nav";
import { chooseTheme } from "../theme";

const ITEM =
  "flex min-h-9 cursor-default select-none items-center gap-2.5 rounded-sm px-2.5 text-sm data-[selected=true]:bg-hover pointer-coarse:min-h-11";
const HEADING =
  "[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-faint [&_[cmdk-group-heading]]:text-xs";

const TASK_ID = /^task_[\w-]+$/;
const NUMBER = /^#?\d+$/;

export default function Palette({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { t } = useTranslation();
  const me = useMe();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const asked = text.trim();
  const run = (act: () => void) => () => {
    onOpenChange(false);
    setText("");
    act();
  };
  const item = (label: string, icon: ReactNode, act: () => void, keywords: string[] = []) => (
    <Command.Item key={label} value={label} keywords={keywords} onSelect={run(act)} className={ITEM}>
      {icon}
      {label}
    </Command.Item>
  );
  const size = "size-4 text-faint";
  return (
    <Command.Dialog
      open={open}
      onOpenChange={onOpenChange}
      label={t("palette.label")}
      overlayClassName="fixed inset-0 z-40 bg-overlay"
      contentClassName="fixed top-[12dvh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-md border border-line bg-panel shadow-lift"
    >
      <Command.Input
        value={text}
        onValueChange={setText}
        placeholder={t("palette.placeholder")}
        className="h-11 w-full border-b bg-transparent px-3.5 text-base outline-none"
      />
      <Command.List className={`scroll-thin max-h-[50dvh] overflow-y-auto p-1.5 ${HEADING}`}>
        <Command.Empty className="px-3 py-6 text-center text-soft text-sm">{t("palette.none")}</Command.Empty>
        {TASK_ID.test(asked) || NUMBER.test(asked) ? (
          <Command.Group heading={t("palette.objects")}>
            {TASK_ID.test(asked)
              ? item(
                  t("palette.openTask", { id: asked }),
                  <ArrowRight aria-hidden className={size} />,
                  () => void navigate({ to: "/tasks/$taskId", params: { taskId: asked } }),
                  [asked],
                )
              : item(
                  t("palette.openFile", { id: asked.replace("#", "") }),
                  <ArrowRight aria-hidden className={size} />,
                  () => void navigate({ to: "/samples/$fileId", params: { fileId: asked.replace("#", "") } }),
                  [asked],
                )}
          </Command.Group>
        ) : null}
        <Command.Group heading={t("palette.pages")}>
          {navFor(me.is_admin).map((page) => {
            const Icon = page.icon;
            return item(
              t(`nav.${page.key}`),
              <Icon aria-hidden className={size} />,
              () => void navigate({ to: page.to }),
              [page.key],
            );
          })}
        </Command.Group>
        <Command.Group heading={t("palette.actions")}>
          {item(
            t("palette.startTask"),
            <Play aria-hidden className={size} />,
            () => void navigate({ to: "/tasks/new" }),
            ["start", "task"],
          )}
          {item(
            t("palette.upload"),
            <FilePlus2 aria-hidden className={size} />,
            () => void navigate({ to: "/samples" }),
            ["upload", "samples"],
          )}
          {item(
            t("top.language"),
            <Languages aria-hidden className={size} />,
            () => void chooseLanguage(currentLanguage() === "zh" ? "en" : "zh"),
            ["language", "english", "中文"],
          )}
          {item(t("palette.light"), <Sun aria-hidden className={size} />, () => chooseTheme("light"), ["theme"])}
          {item(t("palette.dark"), <Moon aria-hidden className={size} />, () => chooseTheme("dark"), ["theme"])}
        </Command.Group>
      </Command.List>
    </Command.Dialog>
  );
}
