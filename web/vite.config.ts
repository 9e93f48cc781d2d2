import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { packedInto } from './pack.js';

// Where a SignalCraft listens while the pages are worked on: `make dev` beside `npm run dev`.
const appliance = 'http://127.0.0.1:8080';
const proxied = ['/api', '/health', '/metrics', '/webhooks', '/answer', '/share'];

// Not those that bring a library of their own (dialogs, menus, charts).
const PARTS =
  /src\/parts\/(Badge|Button|Copy|Empty|Failing|Hint|Loading|Page|Query|Severity|Sparkline|Status|Time|bars|clock|time)\b|@lucide\/svelte/;

export default defineConfig({
  plugins: [svelte(), packedInto('../signalcraft/http/static')],
  // The appliance's policy lets no inline script, style or font through.
  build: {
    outDir: '../.build/dashboard',
    emptyOutDir: true,
    manifest: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      checks: { pluginTimings: false },
      // What nearly every page is made of comes in one piece: thirty small files are thirty ways to the appliance.
      output: { codeSplitting: { groups: [{ name: 'parts', test: PARTS, minShareCount: 2 }] } },
    },
  },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, { target: appliance, xfwd: true }])) },
  test: { include: ['src/**/*.test.ts'] },
});
