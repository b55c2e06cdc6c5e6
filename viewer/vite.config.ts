import { defineConfig } from 'vite'

// The page is built into the Python package, which serves it. `npm run dev` serves it from its sources instead and
// passes requests to a `lesionclick serve` that runs beside it.
const SERVER = 'http://127.0.0.1:8000'

export default defineConfig({
  base: './',
  build: {
    outDir: '../lesionclick/server/page',
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 4000, // NiiVue is most of it
    license: { fileName: 'licenses.md' }, // what the bundle holds of others comes with their licenses
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': { target: SERVER, changeOrigin: true, headers: { Origin: SERVER } } } }, // it refuses others
})
