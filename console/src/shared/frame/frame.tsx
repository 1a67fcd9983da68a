/** The frame around every page behind the sign-in. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { WifiOff } from "lucide-react";
import { Dialog as Drawer } from "radix-ui";
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { onSignedOut } from "@/api/client";
import { meQuery, renewSession } from "@/api/session";
import { SkeletonRows } from "@/ui/blocks";
import { cx } from "@/ui/cx";
import { Dialog } from "@/ui/dialog";
import { wakeLive } from "../live";
import { MeProvider } from "../me";
import { isBoolean, useRemembered } from "../remembered";
import { Boundary, Trouble } from "../trouble";
import { Rail } from "./rail";
import { SignInForm } from "./sign-in-form";
import { TopBar } from "./top-bar";

const Palette = lazy(() => import("./palette"));
const RENEW_EVERY_MS = 60 * 60 * 1000;

function subscribeToLine(listener: () => void) {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}

function OfflineBanner() {
  const { t } = useTranslation();
  const online = useSyncExternalStore(subscribeToLine, () => navigator.onLine);
  if (online) return null;
  return (
    <div role="status" className="flex items-center justify-center gap-2 bg-warn-soft px-3 py-1.5 text-sm text-warn">
      <WifiOff aria-hidden className="size-3.5" />
      {t("errors.offlineBanner")}
    </div>
  );
}

/** Asks for the password again over the page, so that what was typed there is kept. */
function SignInAgain({ username }: { username: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  useEffect(() => onSignedOut(() => setOpen(true)), []);
  return (
    <Dialog
      open={open}
      onOpenChange={setOpen}
      sticky
      title={t("signIn.againTitle")}
      description={t("signIn.againBody")}
      closeLabel={t("act.close")}
      testId="sign-in-again"
    >
      <SignInForm
        username={username}
        onDone={() => {
          setOpen(false);
          wakeLive();
          void client.invalidateQueries();
        }}
      />
    </Dialog>
  );
}

function useRenewedSession(): void {
  useEffect(() => {
    const renew = () => {
      // A refusal is announced by the client and answered by SignInAgain; being offline mends itself next time.
      renewSession().catch(() => undefined);
    };
    renew();
    const timer = setInterval(renew, RENEW_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
}

function usePaletteKey(open: () => void): void {
  useEffect(() => {
    const listenForK = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.shiftKey || event.altKey)
        return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", listenForK);
    return () => window.removeEventListener("keydown", listenForK);
  }, [open]);
}

export function Frame() {
  const { t } = useTranslation();
  const { data: me, error, refetch } = useQuery(meQuery);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const [narrow, setNarrow] = useRemembered("rail.narrow", false, isBoolean);
  const [palette, setPalette] = useState(false);
  const [paletteWanted, setPaletteWanted] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const [openPalette] = useState(() => () => {
    setPaletteWanted(true);
    setPalette(true);
  });
  useRenewedSession();
  usePaletteKey(openPalette);

  if (!me)
    return error ? (
      <main className="p-6">
        <Trouble error={error} onRetry={() => void refetch()} />
      </main>
    ) : (
      <SkeletonRows label={t("state.loading")} />
    );
  return (
    <MeProvider value={me}>
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-panel focus:px-3 focus:py-2"
      >
        {t("nav.skip")}
      </a>
      <div className="flex h-dvh">
        <aside className={cx("hidden shrink-0 border-r bg-panel md:block", narrow ? "w-13" : "w-50")}>
          <Rail narrow={narrow} onNarrow={setNarrow} />
        </aside>
        <Drawer.Root open={drawer} onOpenChange={setDrawer}>
          <Drawer.Portal>
            <Drawer.Overlay className="fixed inset-0 z-40 bg-overlay md:hidden" />
            <Drawer.Content
              aria-describedby={undefined}
              className="fixed inset-y-0 left-0 z-50 w-64 border-r border-line bg-panel outline-none md:hidden"
            >
              <Drawer.Title className="sr-only">{t("nav.label")}</Drawer.Title>
              <Rail narrow={false} onGo={() => setDrawer(false)} />
            </Drawer.Content>
          </Drawer.Portal>
        </Drawer.Root>
        <div className="flex min-w-0 flex-1 flex-col">
          <TopBar onSearch={openPalette} onDrawer={() => setDrawer(true)} />
          <OfflineBanner />
          <main
            id="main"
            tabIndex={-1}
            className="scroll-thin min-h-0 flex-1 overflow-y-auto px-3 py-4 outline-none sm:px-5"
          >
            <div className="mx-auto w-full max-w-[100rem]">
              <Boundary resetKey={path}>
                <Outlet />
              </Boundary>
            </div>
          </main>
        </div>
      </div>
      {paletteWanted ? (
        <Suspense>
          <Palette open={palette} onOpenChange={setPalette} />
        </Suspense>
      ) : null}
      <SignInAgain username={me.username} />
    </MeProvider>
  );
}
