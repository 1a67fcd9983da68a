/** The whole console at an address, as a browser would show it. */
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import { makeQueryClient } from "@/routes/query-client";
import { makeRouter } from "@/routes/router";
import { ConfirmProvider } from "@/shared/confirm";
import { type Language, startI18n } from "@/shared/i18n";

export const ME = {
  id: 1,
  username: "admin",
  email: null,
  is_active: true,
  is_admin: true,
  role: "admin",
  group: "default",
  created_at: "2026-11-22T00:00:00Z",
  balance: 1000,
};

export async function renderApp(path: string, language: Language = "en") {
  await startI18n(language);
  const client = makeQueryClient();
  const history = createMemoryHistory({ initialEntries: [path] });
  const router = makeRouter(client, history);
  const view = render(
    <QueryClientProvider client={client}>
      <ConfirmProvider>
        <RouterProvider router={router} />
      </ConfirmProvider>
    </QueryClientProvider>,
  );
  return { ...view, router, client };
}
