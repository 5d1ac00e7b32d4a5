// Whose lists are asked for, and with what right: an administrator asks for anybody's; who brings a token of the bus, for his own.

import { signal } from '../signal'

const KEY = 'headroom-worklist-token'

function kept(): string {
  try {
    return sessionStorage.getItem(KEY) ?? ''
  } catch {
    return '' // the browser keeps nothing for this page
  }
}

/** Of the user of an application; empty: whoever is signed in asks. It stays in this tab until it is closed. */
export const token = signal(kept())

export function setToken(text: string): void {
  try {
    if (text === '') sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, text)
  } catch {
    // Then it is for this page alone.
  }
  token.set(text)
}

/** An application may lead its user here with #token=...: what stands behind # is sent to nobody. It does not stay in the address. */
export function takeTokenOfAddress(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given === null) return
  history.replaceState(null, '', location.pathname + location.search)
  setToken(given)
}

/** Where a user's lists are asked for. */
export interface Side {
  path: (tail: string) => string
  bearer: string | undefined
}

export function ownSide(bearer: string): Side {
  return { path: (tail) => `/worklist/${tail}`, bearer }
}

export function sideOf(user: string): Side {
  return { path: (tail) => `/api/worklist/users/${encodeURIComponent(user)}/${tail}`, bearer: undefined }
}

/** One list's path; its workflow may hold no slash, nor may its id. */
export function listPath(list: string): string {
  return `lists/${list.split('/').map(encodeURIComponent).join('/')}`
}
