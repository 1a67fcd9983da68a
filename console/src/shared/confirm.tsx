/** Ask before anything is destroyed. `await confirm({...})` answers true or false. */
import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

export interface Question {
  title: string;
  body?: ReactNode;
  act: string;
  danger?: boolean;
}

type Ask = (question: Question) => Promise<boolean>;
const ConfirmContext = createContext<Ask | null>(null);

export function ConfirmProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const [question, setQuestion] = useState<Question | null>(null);
  const [open, setOpen] = useState(false);
  const answerTo = useRef<((yes: boolean) => void) | null>(null);

  const ask = useCallback<Ask>((next) => {
    answerTo.current?.(false);
    setQuestion(next);
    setOpen(true);
    return new Promise((resolve) => {
      answerTo.current = resolve;
    });
  }, []);
  const answer = (yes: boolean) => {
    setOpen(false);
    answerTo.current?.(yes);
    answerTo.current = null;
  };

  return (
    <ConfirmContext value={ask}>
      {children}
      <Dialog
        open={open}
        onOpenChange={(next) => {
          if (!next) answer(false);
        }}
        title={question?.title ?? ""}
        closeLabel={t("act.close")}
        testId="confirm"
        footer={
          <>
            <Button onClick={() => answer(false)}>{t("act.cancel")}</Button>
            <Button
              look={question?.danger ? "danger" : "primary"}
              onClick={() => answer(true)}
              data-testid="confirm-yes"
            >
              {question?.act}
            </Button>
          </>
        }
      >
        <div className="text-soft text-sm">{question?.body}</div>
      </Dialog>
    </ConfirmContext>
  );
}

export function useConfirm(): Ask {
  const ask = useContext(ConfirmContext);
  if (!ask) throw new Error("useConfirm needs a ConfirmProvider above it");
  return ask;
}
