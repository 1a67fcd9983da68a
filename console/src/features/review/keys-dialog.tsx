/** Every key of the workbench. */
import { useTranslation } from "react-i18next";
import { Kbd } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

export function KeysDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { t } = useTranslation();
  const keys: [string[], string][] = [
    [["a"], t("review.keys.a")],
    [["x"], t("review.keys.x")],
    [["c"], t("review.keys.c")],
    [["e"], t("review.keys.e")],
    [["u"], t("review.keys.u")],
    [["j", "↓"], t("review.keys.j")],
    [["k", "↑"], t("review.keys.k")],
    [["⇧ j", "⇧ k"], t("review.keys.range")],
    [["Esc"], t("review.keys.escape")],
    [["?"], t("review.keys.help")],
  ];
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("review.keys.title")}
      closeLabel={t("act.close")}
      testId="review-keys"
    >
      <dl className="grid grid-cols-[7rem_1fr] items-center gap-y-2 text-sm">
        {keys.map(([names, what]) => (
          <div key={what} className="contents">
            <dt className="flex gap-1">
              {names.map((name) => (
                <Kbd key={name}>{name}</Kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
