// How the pages are built, and served while working on them: `npm run dev` in web/app beside a running `headroom serve`.
/// <reference types="vitest" />
import { writeFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

/** Tells Ninja which sources the pages were made of. */
function dependencyFile(output: string, dependent: string): Plugin {
  return {
    name: 'dependency-file',
    generateBundle() {
      const files = [...this.getModuleIds()].filter((id) => id.startsWith('/') && !id.includes('\0'))
      const names = new Set(files.map((id) => id.replace(/\?.*$/, '').replace(/ /g, '\\ ')))
      writeFileSync(output, `${dependent}: ${[...names].join(' \\\n  ')}\n`)
    },
  }
}

/** Nothing is drawn before the script has run: a picture of the empty page would hold up the one with something in it. */
function scriptBeforePicture(): Plugin {
  return {
    name: 'script-before-picture',
    transformIndexHtml: {
      order: 'post',
      handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
    },
  }
}

const { HEADROOM_DEPENDENCIES, HEADROOM_DEPENDENT, HEADROOM_API = 'http://127.0.0.1:7400' } = process.env

export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2020',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: URLs
    reportCompressedSize: false,
  },
  plugins: [scriptBeforePicture(), HEADROOM_DEPENDENCIES && HEADROOM_DEPENDENT && dependencyFile(HEADROOM_DEPENDENCIES, HEADROOM_DEPENDENT)],
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: HEADROOM_API, ws: true, changeOrigin: true },
      '/health': { target: HEADROOM_API, changeOrigin: true },
    },
  },
  test: { include: ['src/**/*.test.ts'] },
})
