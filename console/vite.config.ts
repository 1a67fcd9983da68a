/** Build the console into the server package, which serves it at `/`. */
import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { "@": here("./src") } },
  build: {
    outDir: here("../src/tidemill/server/console"),
    emptyOutDir: true,
    // The bundle check reads it to add up what each route loads.
    manifest: true,
    target: "es2023",
    chunkSizeWarningLimit: 600,
  },
  server: {
    // `npm run dev` talks to a server that already runs; the console never knows another origin.
    proxy: Object.fromEntries(
      ["/api", "/v1"].map((path) => [path, { target: process.env.TIDEMILL_URL ?? "http://127.0.0.1:8080", ws: true }]),
    ),
  },
  test: {
    environment: "happy-dom",
    globals: false,
    setupFiles: ["tests/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}", "tests/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    unstubGlobals: true,
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});
