// The page begins: what it will show is asked for at once, and the first picture waits a little for the answers, since a picture of the
// shell alone would take the time that the one with the rows needs.

import { render } from 'preact'
import './styles/main.css'
import './theme'
import { askEarly } from './api'
import { App } from './app'
import { pageAt } from './pages'
import { place } from './router'

const PATIENCE_MS = 150

const { path, query } = place.value
const page = pageAt(path)
const answers = ['/api/session', ...(page?.asks?.(query) ?? [])].map(askEarly)
void page?.load().catch(() => undefined) // the page asks again and tells
void Promise.race([Promise.allSettled(answers), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))])
  .then(() => render(<App />, document.getElementById('app')!))
