// The shell around the pages: navigation, theme, who is signed in, help; and the page that the address names.

import type { ComponentType } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { loadSession, session, signOut } from './api'
import { useKeys } from './keys'
import { pageAt, pages, type PageEntry } from './pages'
import SignIn from './parts/sign_in'
import { Help } from './parts/help'
import { Failure, Waiting } from './parts/states'
import { asApiError } from './resource'
import { go, Link, place } from './router'
import { useSignal } from './signal'
import { theme, toggleTheme } from './theme'
import type { ApiError } from './api'

export function App() {
  const { path } = useSignal(place)
  const who = useSignal(session)
  const [failed, setFailed] = useState<ApiError>()
  const [help, setHelp] = useState(false)
  const [asking, setAsking] = useState(false)
  const load = () => {
    setFailed(undefined)
    loadSession().catch((error: unknown) => setFailed(asApiError(error)))
  }
  useLayoutEffect(load, [])
  useKeys([
    { keys: ['?'], does: 'this help', run: () => setHelp((shown) => !shown) },
    { keys: ['t'], does: 'dark or light', run: toggleTheme },
    ...pages.filter((page) => page.section).map((page, n) => (
      { keys: [String(n + 1)], does: `go to ${page.title.toLowerCase()}`, run: () => go(page.path) })),
  ], [])
  const locked = who !== undefined && who.required && !who.signed_in
  const entry = pageAt(path)
  const signIn = (locked && !entry?.open) || (asking && !who?.signed_in)
  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>Skip to the content</a>
      <Bar path={path} onHelp={() => setHelp(true)} onSignIn={() => setAsking(true)} />
      <main id="main" tabIndex={-1}>
        {failed ? <Failure error={failed} again={load} />
          : signIn ? <SignIn required={locked} onCancel={() => setAsking(false)} />
          : <CurrentPage key={path} entry={entry} />}
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  )
}

function focusMain(event: MouseEvent): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

interface BarProps {
  path: string
  onHelp: () => void
  onSignIn: () => void
}

function Bar({ path, onHelp, onSignIn }: BarProps) {
  const who = useSignal(session)
  const look = useSignal(theme)
  return (
    <header class="bar">
      <Link to="/" class="brand"><span class="logo" aria-hidden="true" />Headroom</Link>
      <nav aria-label="Pages">
        {pages.filter((page) => page.section).map((page) => (
          <Link key={page.path} to={page.path} current={page.path === path}>{page.title}</Link>
        ))}
      </nav>
      <div class="bar-end">
        {who?.signed_in
          ? <><span class="who" title={who.role ?? undefined}>{who.user ?? who.role}</span>
              <button type="button" class="quiet" onClick={() => void signOut()}>Sign out</button></>
          : who && <button type="button" class="quiet" onClick={onSignIn}>Sign in</button>}
        <button type="button" class="quiet icon" onClick={toggleTheme} title="Dark or light (t)"
          aria-label={look === 'dark' ? 'Use the light theme' : 'Use the dark theme'}><span aria-hidden="true">{look === 'dark' ? '☀' : '☾'}</span></button>
        <button type="button" class="quiet icon" onClick={onHelp} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)"><span aria-hidden="true">?</span></button>
      </div>
    </header>
  )
}

/** The page of the address, once its script is there. A reader who goes on hears where he is: the main part gets the focus. */
function CurrentPage({ entry }: { entry: PageEntry | undefined }) {
  const [View, setView] = useState<ComponentType>()
  const [failed, setFailed] = useState(false)
  const first = useRef(document.activeElement === document.body)
  useLayoutEffect(() => {
    entry?.load().then((module) => setView(() => module.default), () => setFailed(true))
    if (!first.current) document.getElementById('main')?.focus({ preventScroll: true })
  }, [entry])
  if (entry === undefined) {
    return <div class="empty"><p><strong>There is no such page.</strong></p><p><Link to="/">All sessions</Link></p></div>
  }
  if (failed) return <div class="failure" role="alert"><p><strong>This page could not be loaded.</strong></p><p>Reload it: headroom serve may have been updated meanwhile.</p></div>
  return View ? <View /> : <Waiting what={entry.title} />
}
