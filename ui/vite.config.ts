// How the UI is built: hashed files below `assets/`, found relative to the page's base.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// For `npm run dev`: a running Watchkeeper that answers the API.
const server = process.env.WATCHKEEPER ?? "http://127.0.0.1:7070";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "dist/www",
    target: "es2022",
    // A preload of lazy chunks would need the base at build time.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
  },
  server: { proxy: { "/api": server, "/metrics": server } },
});
