// The frame of a page: a heading with what it is about, figures, tabs, and a field that filters.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { useKeys } from '../keys'
import { addressWith, Link, place } from '../router'
import { useSignal } from '../signal'

interface PageProps {
  title: string
  /** The way back to where this belongs. */
  up?: { to: string; title: string } | undefined
  actions?: ComponentChildren
  children: ComponentChildren
}

export function Page({ title, up, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Headroom`
  }, [title])
  return (
    <>
      <header class="page-head">
        {up && <p class="crumbs"><Link to={up.to}>{up.title}</Link></p>}
        <div class="page-title"><h1>{title}</h1>{actions && <div class="actions">{actions}</div>}</div>
      </header>
      {children}
    </>
  )
}

export interface Figure {
  name: string
  value: ComponentChildren
  hint?: string
  mark?: 'bad' | 'warn' | 'good' | undefined
}

/** A few numbers side by side, each with its name. */
export function Figures({ figures }: { figures: Figure[] }) {
  return (
    <dl class="figures">
      {figures.map(({ name, value, hint, mark }) => (
        <div key={name} title={hint}><dt>{name}</dt><dd class={mark}>{value}</dd></div>
      ))}
    </dl>
  )
}

export interface Tab {
  id: string
  title: string
  count?: number | undefined
}

/** Views of one page; the address says which is shown, so these are links. */
export function Tabs({ tabs, current, label }: { tabs: Tab[]; current: string; label: string }) {
  const from = useSignal(place)
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((tab, n) => (
        <Link key={tab.id} current={tab.id === current}
          to={addressWith(from, { view: n === 0 ? '' : tab.id, sort: '', filter: '', offset: '', row: '' })}>
          {tab.title}{tab.count !== undefined && <span class="badge">{tab.count}</span>}
        </Link>
      ))}
    </nav>
  )
}

interface FilterProps {
  label: string
  value: string
  onChange: (value: string) => void
  placeholder?: string
}

/** A field that narrows what is shown; "/" goes there, Escape empties and leaves it. */
export function Filter({ label, value, onChange, placeholder }: FilterProps) {
  const field = useRef<HTMLInputElement>(null)
  useKeys([{ keys: ['/'], does: `filter (${label.toLowerCase()})`, run: () => field.current?.focus() }], [label])
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return
    onChange('')
    field.current?.blur()
  }
  return (
    <label class="filter">
      <span class="hidden">{label}</span>
      <input type="search" ref={field} value={value} placeholder={placeholder ?? label} spellcheck={false}
        onInput={(event) => onChange(event.currentTarget.value)} onKeyDown={onKeyDown} />
    </label>
  )
}

/** A list of names with their values. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  )
}

export function Note({ children }: { children: ComponentChildren }) {
  return <p class="note">{children}</p>
}
