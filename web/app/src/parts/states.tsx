// What stands in place of data: it could not be had, or there is none. Both say what to do next.

import type { ComponentChildren } from 'preact'
import type { ApiError } from '../api'
import { Link } from '../router'
import { visible } from '../visible'

const ADVICE: Record<string, string> = {
  unavailable: 'Look whether headroom serve runs and its store can be read; the page tries again when you reload it.',
  timed_out: 'Narrow the question: a shorter time, one method.',
  denied: 'Administrators may: sign in as one.',
  unauthorized: 'Sign in first.',
  not_found: 'It may have been deleted, since the store keeps calls for a limited time.',
}

export function Failure({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p><strong>{visible(error.message)}</strong></p>
      <p>{ADVICE[error.code] ?? 'The log of headroom serve may say more.'}</p>
      {again && <button type="button" onClick={again}>Try again</button>}
      {error.code === 'not_found' && <p><Link to="/">All sessions</Link></p>}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><p><strong>{title}</strong></p>{children}</div>
}

export function Waiting({ what }: { what: string }) {
  return <p class="waiting" role="status">Loading {what} …</p>
}
