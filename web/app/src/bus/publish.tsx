// A form that publishes one message. The daemon takes it from an administrator who is signed in, with the secret that only these pages
// have.

import { useState } from 'preact/hooks'
import { mayChange, postText, session } from '../api'
import { Empty } from '../parts/states'
import { asApiError } from '../resource'
import { Link, useParameter } from '../router'
import { useSignal } from '../signal'
import { count } from '../units'
import { oneLine, visible } from '../visible'
import { messagesAddress } from './messages'
import { problemOf, publicationText } from './publication'

interface Published {
  channel: string
  offset: number
  repeated?: boolean
}

export function Publish() {
  const may = mayChange(useSignal(session))
  if (may) return <Form />
  return <Empty title="Only an administrator publishes here."><p>Sign in as one. Applications publish with a token of their own, over HTTP or in SQL; see docs/bus.md.</p></Empty>
}

function Form() {
  const [channel, setChannel] = useParameter('channel')
  const [problem, setProblem] = useState('')
  const [published, setPublished] = useState<Published>()
  const [busy, setBusy] = useState(false)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    const field = (name: string) => String(fields.get(name) ?? '')
    const name = field('channel').trim()
    const wrong = problemOf(name, field('data'))
    setPublished(undefined)
    setProblem(wrong ?? '')
    if (wrong !== undefined || busy) return
    setBusy(true)
    postText<Published>('/api/bus/publish', publicationText(name, field('data'), field('id').trim()))
      .then((answer) => setPublished({ ...answer, channel: name }), (reason: unknown) => setProblem(asApiError(reason).message))
      .finally(() => setBusy(false))
  }
  return (
    <form class="card form" onSubmit={submit} aria-labelledby="publish">
      <h2 id="publish">Publish a message</h2>
      <div class="fields">
        <label>Channel<input name="channel" value={channel} onInput={(event) => setChannel(event.currentTarget.value)} placeholder="room:1" spellcheck={false} autocomplete="off" /></label>
        <label>Id<input name="id" placeholder="none" spellcheck={false} autocomplete="off" aria-describedby="publish-id" /></label>
      </div>
      <label>Data<textarea name="data" rows={6} placeholder={'{"type": "note"}'} spellcheck={false} /></label>
      <p class="muted small" id="publish-id">Everybody who is subscribed gets it at once. With an id, the same one within 5 minutes is published once only.</p>
      <p class="problem" role="alert">{visible(problem)}</p>
      <div class="actions"><button type="submit" class="main" disabled={busy}>Publish</button>
        <span role="status">{published && <>{published.repeated ? 'Was published before' : 'Published'}: message {count(published.offset)} of {oneLine(published.channel, 100)}.{' '}
          <Link to={messagesAddress(published.channel)}>Its messages</Link></>}</span></div>
    </form>
  )
}
