// Everything else that is known of a call: where it ran, what it waited for, its attempts.

import { Facts, Note } from '../parts/layout'
import { Link } from '../router'
import { bytes, count, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { callAddress } from '../which'
import type { WholeCall } from './whole_call'

export function CallFacts({ call }: { call: WholeCall }) {
  const text = (value: string | null) => value ? visible(value) : '–'
  return (
    <section aria-label="Facts">
      <div class="columns">
        <Facts facts={[
          ['User', text(call.user)], ['Kind', call.kind], ['HTTP status', call.http_status ?? '–'], ['Client', text(call.address)],
          ['Request', bytes(call.req_size)], ['Response', bytes(call.res_size)],
          ['Host', text(call.host)], ['Process', call.process], ['Thread', call.thread],
          ['Ran inside', call.parent ? <Parent path={call.parent} /> : '–'], ['Record', <code>{text(call.id)}</code>],
        ]} />
        <Facts facts={[
          ['Waited for a connection', seconds(call.connection_wait)], ['Waited for the lock', seconds(call.lock_wait)],
          ['Commit', seconds(call.commit)], ['Rows', count(call.rows)],
          ['Cache hits', count(call.cache_hits)], ['Cache misses', <span class={call.cache_misses > call.cache_hits ? 'warn' : undefined}>{count(call.cache_misses)}</span>],
          ['Cache clears', count(call.cache_clears)], ['Memory gained', bytes(call.memory_growth)],
          ['Details left out', <span class={call.dropped_details > 0 ? 'warn' : undefined}>{count(call.dropped_details)}</span>],
        ]} />
      </div>
      <h2>Attempts</h2>
      <ol class="attempts">
        {call.attempt_list.map((attempt) => (
          <li key={attempt['#']}>{seconds(attempt.time)}, {plural(attempt.statements, 'statement')}{attempt.error
            ? <span class="bad">: {oneLine(attempt.error)}</span> : call.attempt_list.length > 1 ? ': this one held' : ''}</li>
        ))}
      </ol>
      {call.children.length > 0 && <Children call={call} />}
      {call.attempt_list.length > 1 && <Note>The transaction was tried again after a collision with another one; all attempts count in the time.</Note>}
    </section>
  )
}

/** The calls that this one ran: their time is in its own. */
function Children({ call }: { call: WholeCall }) {
  return (
    <>
      <h2>Ran inside it</h2>
      <ul class="attempts">
        {call.children.map((child) => (
          <li key={child['#']}><Link to={callAddress({ db: call.database, session: call.session }, child['#'])}>{oneLine(child.method)}</Link>
            {' '}({child.kind}): {seconds(child.tm)}, {plural(child.db_nb, 'statement')}</li>
        ))}
      </ul>
    </>
  )
}

/** "database/session/number" as a link to that call. */
function Parent({ path }: { path: string }) {
  const parts = path.split('/')
  const [number, session] = [parts.pop(), parts.pop()]
  if (!number || !session || parts.length === 0) return <>{visible(path)}</>
  return <Link to={callAddress({ db: parts.join('/'), session }, Number(number))}>{oneLine(path)}</Link>
}
