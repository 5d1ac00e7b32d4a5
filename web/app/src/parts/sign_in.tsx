import { useState } from 'preact/hooks'
import { session, signIn } from '../api'
import { asApiError } from '../resource'
import { visible } from '../visible'
import { useSignal } from '../signal'
import { Page } from './layout'

/** Asks for a token, or a user with password; the daemon answers with a cookie that scripts can't read. */
export default function SignIn({ required, onCancel }: { required: boolean; onCancel: () => void }) {
  const ways = useSignal(session)?.with ?? ['token', 'password']
  const [way, setWay] = useState<'token' | 'password'>(ways.includes('password') ? 'password' : 'token')
  const [problem, setProblem] = useState('')
  const [busy, setBusy] = useState(false)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const field = (name: string) => String(form.get(name) ?? '')
    setBusy(true)
    setProblem('')
    signIn(way === 'token' ? { token: field('token') } : { user: field('user'), password: field('password') })
      .catch((error: unknown) => setProblem(asApiError(error).message))
      .finally(() => setBusy(false))
  }
  return (
    <Page title="Sign in">
      <form class="card form narrow" onSubmit={submit}>
        <p class="muted">{required ? 'This address shows nothing without it.' : 'Reading needs no sign-in here; changing rules does.'}</p>
        {ways.length > 1 && <fieldset class="choice">
          <legend>With</legend>
          <label><input type="radio" name="way" checked={way === 'password'} onChange={() => setWay('password')} /> user and password</label>
          <label><input type="radio" name="way" checked={way === 'token'} onChange={() => setWay('token')} /> the access token</label>
        </fieldset>}
        {ways.length === 0 && <p class="problem">Nothing to sign in with is configured: set [serve] token_file or password_file in headroom.toml.</p>}
        {way === 'token'
          ? <label>Token<input name="token" type="password" required autocomplete="current-password" autofocus /></label>
          : <><label>User<input name="user" required autocomplete="username" autofocus /></label>
              <label>Password<input name="password" type="password" required autocomplete="current-password" /></label></>}
        <p class="problem" role="alert">{visible(problem)}</p>
        <div class="actions">
          <button type="submit" class="main" disabled={busy}>Sign in</button>
          {!required && <button type="button" class="quiet" onClick={onCancel}>Cancel</button>}
        </div>
        {way === 'token' && <p class="muted small">The token is the first line of the file that <code>[serve] token_file</code> in headroom.toml names.</p>}
      </form>
    </Page>
  )
}
