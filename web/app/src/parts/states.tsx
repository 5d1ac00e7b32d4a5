// What stands in place of data: it could not be had, or there is none. Both say what to do next.

import type { ComponentChildren } from 'preact'
import type { ApiError } from '../api'
import { adviceOf, isFinal, withoutCommand } from '../advice_of_error'
import { Link } from '../router'
import { visible } from '../visible'

interface FailureProps {
  error: ApiError
  again?: (() => void) | undefined
  /** Where what was meant may be found, beside all sessions. */
  up?: { to: string; title: string } | undefined
}

export function Failure({ error, again, up }: FailureProps) {
  return (
    <div class="failure" role="alert">
      <p><strong>{visible(withoutCommand(error.message))}</strong></p>
      <p>{adviceOf(error.code)}</p>
      {again && !isFinal(error.code) && <button type="button" onClick={again}>Try again</button>}
      {isFinal(error.code) && <p class="actions">{up && <Link to={up.to}>{up.title}</Link>}<Link to="/">All sessions</Link></p>}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><p><strong>{title}</strong></p>{children}</div>
}

export function Waiting({ what }: { what: string }) {
  return <p class="waiting" role="status">Loading {what} …</p>
}
