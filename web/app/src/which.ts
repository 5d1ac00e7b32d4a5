// A session and a call as addresses name them.

import { address } from './api'

export interface Which {
  db: string
  session: string
}

/** How the API names the session. */
export function reference(which: Which): string {
  return which.db ? `${which.db}/${which.session}` : which.session
}

export function callAddress(which: Which, call: number, more: Record<string, string> = {}): string {
  return address('/call', { db: which.db, session: which.session, call, ...more })
}
