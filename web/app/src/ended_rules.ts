// Rules that were switched off, so that they can be switched on again. The daemon forgets them, the reader's browser does not: what
// was typed is there after a look at another page. Nothing in it is secret: the page shows all of it.

import type { Rule } from './rule'

const KEY = 'headroom-ended-rules'
const MOST = 20

/** The latest first; none where the browser keeps nothing, or another program left something else there. */
export function endedRules(): Rule[] {
  try {
    return readRules(localStorage.getItem(KEY) ?? '[]')
  } catch {
    return []
  }
}

export function keepEnded(rules: readonly Rule[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(rules.slice(0, MOST)))
  } catch {
    // kept as long as the page is shown
  }
}

/** What is a rule of the text; the rest is left out. */
export function readRules(text: string): Rule[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.filter(isRule).slice(0, MOST) : []
  } catch {
    return []
  }
}

/** Ids come again when a store is made anew. */
export function isSameRule(one: Rule, other: Rule): boolean {
  return one.id === other.id && one.created_us === other.created_us
}

function isRule(value: unknown): value is Rule {
  if (typeof value !== 'object' || value === null) return false
  const rule = value as Record<string, unknown>
  const isNumber = (name: string) => Number.isFinite(rule[name])
  return ['id', 'author', 'database'].every((name) => typeof rule[name] === 'string')
    && ['users', 'methods', 'profile', 'sample', 'db', 'io'].every((name) => isTexts(rule[name]))
    && ['slower_than_us', 'one_in', 'created_us'].every(isNumber)
    && ['query_us', 'expires_us'].every((name) => rule[name] === undefined || rule[name] === null && name === 'query_us' || isNumber(name))
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
