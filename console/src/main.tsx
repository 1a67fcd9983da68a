/** Start the console. */
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { type CSSProperties, lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { makeQueryClient } from "./routes/query-client";
import { makeRouter } from "./routes/router";
import { ConfirmProvider } from "./shared/confirm";
import { startI18n } from "./shared/i18n";
import { applyTheme, readTheme, useTheme } from "./shared/theme";
import "./styles/app.css";

const client = makeQueryClient();
const router = makeRouter(client);

const Toaster = lazy(async () => ({ default: (await import("sonner")).Toaster }));

const TOAST_COLOURS = {
  "--normal-bg": "var(--panel)",
  "--normal-text": "var(--text)",
  "--normal-border": "var(--line)",
  "--border-radius": "6px",
} as CSSProperties;

function Toasts() {
  return <Toaster theme={useTheme()} position="bottom-right" visibleToasts={4} style={TOAST_COLOURS} />;
}

async function start(): Promise<void> {
  const place = document.getElementById("root");
  if (!place) throw new Error("index.html has no #root");
  applyTheme(readTheme());
  await startI18n();
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <ConfirmProvider>
          <RouterProvider router={router} />
          <Suspense>
            <Toasts />
          </Suspense>
        </ConfirmProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}

void start();
