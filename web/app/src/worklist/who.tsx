// Whose lists: a field for an administrator, and one for the token of somebody who sees his own.

import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { useKeys } from '../keys'
import { useResource } from '../resource'
import { oneLine } from '../visible'
import { setToken } from './own'

interface Users {
  users: string[]
  more: boolean
}

const PAUSE_MS = 150

/** The text as it was when the typing paused. */
function usePaused(text: string): string {
  const [paused, setPaused] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setPaused(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  return paused
}

/** Proposes ids that begin with what is typed, where the definitions say where users are. */
export function ChooseUser({ user, onUser }: { user: string; onUser: (id: string) => void }) {
  const field = useRef<HTMLInputElement>(null)
  const [typed, setTyped] = useState(user)
  const [busy, setBusy] = useState(false)
  const id = useId()
  const beginning = usePaused(typed.trim())
  const { value } = useResource<Users>(busy ? '/api/worklist/users' : undefined, { beginning })
  useKeys([{ keys: ['u'], does: 'choose the user', run: () => field.current?.focus() }], [])
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    onUser(typed.trim())
  }
  return (
    <form class="actions" onSubmit={submit} role="search">
      <label class="filter"><span class="hidden">User</span>
        <input ref={field} value={typed} list={id} placeholder="Id of the user" spellcheck={false} autocomplete="off" maxLength={128}
          onFocus={() => setBusy(true)} onInput={(event) => setTyped(event.currentTarget.value)} /></label>
      <datalist id={id}>{value?.users.map((one) => <option key={one} value={one}>{oneLine(one, 200)}</option>)}</datalist>
      <button type="submit">Show</button>
    </form>
  )
}

export function TokenForm() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get('token') ?? '').trim()
    if (given !== '') setToken(given)
  }
  return (
    <form class="card form narrow" onSubmit={submit}>
      <p class="muted">Administrators see the lists of everybody. Whoever has a token of the bus, as the application makes them, sees his own:</p>
      <label>Token<input name="token" type="password" required autocomplete="off" spellcheck={false} /></label>
      <div class="actions"><button type="submit" class="main">Show my lists</button></div>
      <p class="muted small">It stays in this tab, until it is closed.</p>
    </form>
  )
}
