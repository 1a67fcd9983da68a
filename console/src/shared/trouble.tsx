/** What a page shows when its data did not come, or its code broke. */
import { RotateCw, TriangleAlert, WifiOff } from "lucide-react";
import { Component, type ErrorInfo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { Empty } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { CopyButton } from "./copy";
import { errorSentence } from "./notify";

export function Trouble({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslation();
  const offline = isApiError(error) && error.kind === "offline";
  const requestId = isApiError(error) ? error.requestId : null;
  return (
    <div role="alert">
      <Empty
        icon={offline ? <WifiOff aria-hidden /> : <TriangleAlert aria-hidden />}
        title={offline ? t("errors.offlineTitle") : t("errors.title")}
        action={
          onRetry ? (
            <Button icon={<RotateCw aria-hidden className="size-3.5" />} onClick={onRetry}>
              {t("act.retry")}
            </Button>
          ) : undefined
        }
      >
        <p>{errorSentence(error)}</p>
        {requestId ? (
          <p className="mt-1 inline-flex items-center gap-1 font-mono text-faint text-xs">
            {requestId} <CopyButton text={requestId} label={t("errors.copyRequestId")} />
          </p>
        ) : null}
      </Empty>
    </div>
  );
}

interface BoundaryProps {
  children: ReactNode;
  /** When this changes (another page was opened), the boundary tries again. */
  resetKey: string;
}

/** Keeps one page's fault from taking the frame with it. */
export class Boundary extends Component<BoundaryProps, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidUpdate(before: BoundaryProps) {
    if (before.resetKey !== this.props.resetKey && this.state.error !== null) this.setState({ error: null });
  }

  override componentDidCatch(error: unknown, info: ErrorInfo) {
    console.error(error, info.componentStack);
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <Trouble error={this.state.error} onRetry={() => this.setState({ error: null })} />;
  }
}
