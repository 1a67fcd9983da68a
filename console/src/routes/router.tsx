/** Which address shows which page. Every page is loaded when it is first opened. */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { isApiError } from "@/api/errors";
import { meQuery } from "@/api/session";
import { safeNext } from "@/shared/safe-next";
import { Trouble } from "@/shared/trouble";
import type { Search } from "@/shared/url-state";
import { SkeletonRows } from "@/ui/blocks";
import { NotFound } from "./not-found";

interface RouterContext {
  client: QueryClient;
}

/** Pages read their own filters from the address; the router only carries them. */
const anySearch = (search: Search): Search => search;

const root = createRootRouteWithContext<RouterContext>()({
  component: Outlet,
  notFoundComponent: NotFound,
  validateSearch: anySearch,
});

const signInRoute = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  component: lazyRouteComponent(() => import("@/features/sign-in/sign-in-page"), "SignInPage"),
});

const registerRoute = createRoute({
  getParentRoute: () => root,
  path: "/register",
  component: lazyRouteComponent(() => import("@/features/sign-in/sign-in-page"), "RegisterPage"),
});

/** Everything behind the sign-in. Being offline is shown by the frame; being unknown leads to the door. */
const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ context, location }) => {
    try {
      await context.client.ensureQueryData(meQuery);
    } catch (error) {
      if (isApiError(error) && error.status === 401) {
        const next = safeNext(location.href);
        throw redirect({ to: "/sign-in", search: next === "/" ? {} : { next } });
      }
    }
  },
  component: lazyRouteComponent(() => import("@/shared/frame/frame"), "Frame"),
  notFoundComponent: NotFound,
});

const dashboard = createRoute({
  getParentRoute: () => app,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/dashboard/dashboard-page"), "DashboardPage"),
});
const samples = createRoute({
  getParentRoute: () => app,
  path: "/samples",
  component: lazyRouteComponent(() => import("@/features/samples/samples-page"), "SamplesPage"),
});
const sampleFile = createRoute({
  getParentRoute: () => app,
  path: "/samples/$fileId",
  component: lazyRouteComponent(() => import("@/features/samples/sample-file-page"), "SampleFilePage"),
});
const tasks = createRoute({
  getParentRoute: () => app,
  path: "/tasks",
  component: lazyRouteComponent(() => import("@/features/tasks/tasks-page"), "TasksPage"),
});
const newTask = createRoute({
  getParentRoute: () => app,
  path: "/tasks/new",
  component: lazyRouteComponent(() => import("@/features/tasks/new-task-page"), "NewTaskPage"),
});
const task = createRoute({
  getParentRoute: () => app,
  path: "/tasks/$taskId",
  component: lazyRouteComponent(() => import("@/features/tasks/task-page"), "TaskPage"),
});
const review = createRoute({
  getParentRoute: () => app,
  path: "/review",
  component: lazyRouteComponent(() => import("@/features/review/review-page"), "ReviewPage"),
});
const reports = createRoute({
  getParentRoute: () => app,
  path: "/reports",
  component: lazyRouteComponent(() => import("@/features/reports/reports-page"), "ReportsPage"),
});
const report = createRoute({
  getParentRoute: () => app,
  path: "/reports/$taskId",
  component: lazyRouteComponent(() => import("@/features/reports/report-page"), "ReportPage"),
});
const channels = createRoute({
  getParentRoute: () => app,
  path: "/channels",
  component: lazyRouteComponent(() => import("@/features/channels/channels-page"), "ChannelsPage"),
});
const calls = createRoute({
  getParentRoute: () => app,
  path: "/calls",
  component: lazyRouteComponent(() => import("@/features/calls/calls-page"), "CallsPage"),
});
const alerts = createRoute({
  getParentRoute: () => app,
  path: "/alerts",
  component: lazyRouteComponent(() => import("@/features/alerts/alerts-page"), "AlertsPage"),
});
const localModels = createRoute({
  getParentRoute: () => app,
  path: "/local-models",
  component: lazyRouteComponent(() => import("@/features/local-models/local-models-page"), "LocalModelsPage"),
});
const keys = createRoute({
  getParentRoute: () => app,
  path: "/keys",
  component: lazyRouteComponent(() => import("@/features/keys/keys-page"), "KeysPage"),
});

const jobs = createRoute({
  getParentRoute: () => app,
  path: "/jobs",
  component: lazyRouteComponent(() => import("@/features/jobs/jobs-page"), "JobsPage"),
});
const schedules = createRoute({
  getParentRoute: () => app,
  path: "/schedules",
  component: lazyRouteComponent(() => import("@/features/schedules/schedules-page"), "SchedulesPage"),
});

const tree = root.addChildren([
  signInRoute,
  registerRoute,
  app.addChildren([
    dashboard,
    samples,
    sampleFile,
    tasks,
    newTask,
    task,
    review,
    reports,
    report,
    channels,
    calls,
    alerts,
    localModels,
    keys,
    jobs,
    schedules,
  ]),
]);

export function makeRouter(client: QueryClient, history?: Parameters<typeof createRouter>[0]["history"]) {
  return createRouter({
    routeTree: tree,
    context: { client },
    history,
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultPendingComponent: () => <SkeletonRows label="…" />,
    defaultErrorComponent: ({ error, reset }) => <Trouble error={error} onRetry={reset} />,
    defaultNotFoundComponent: NotFound,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
