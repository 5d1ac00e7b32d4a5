// Work lists: a user's lists with their numbers as they change, what counting them costs, and how each is counted. An administrator looks at
// anybody's; who brings a token of the bus, at his own.

import { useEffect } from 'preact/hooks'
import { session, type Session } from '../api'
import { Page, Tabs, type Tab } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { useSignal } from '../signal'
import { Cost } from '../worklist/cost'
import { Lists } from '../worklist/lists_view'
import { ownSide, setToken, sideOf, takeTokenOfAddress, token } from '../worklist/own'
import { Service, type ServiceStatus } from '../worklist/service'
import { ChooseUser, TokenForm } from '../worklist/who'
import type { ApiError } from '../api'

const TABS: Tab[] = [
  { id: 'lists', title: 'Lists' },
  { id: 'cost', title: 'Cost' },
  { id: 'service', title: 'How they are counted' },
]

takeTokenOfAddress()

/** Whether the reader may look at the lists of everybody. */
function mayAsk(who: Session | undefined): boolean {
  return who !== undefined && who.role !== 'viewer' && !(who.required && !who.signed_in)
}

export default function WorkListsPage() {
  useEffect(() => {
    addEventListener('hashchange', takeTokenOfAddress)
    return () => removeEventListener('hashchange', takeTokenOfAddress)
  }, [])
  const who = useSignal(session)
  const own = useSignal(token)
  if (who === undefined) return <Page title="Work lists"><Waiting what="the work lists" /></Page>
  return own === '' ? <OfAnybody who={who} /> : <Own bearer={own} />
}

function Own({ bearer }: { bearer: string }) {
  return (
    <Page title="My work lists" actions={<button type="button" onClick={() => setToken('')}>Forget the token</button>}>
      <Lists side={ownSide(bearer)} why={undefined} />
    </Page>
  )
}

function OfAnybody({ who }: { who: Session }) {
  const locked = who.required && !who.signed_in
  const { value, error, reload } = useResource<ServiceStatus>(locked ? undefined : '/api/worklist', {}, 3000)
  const [user, setUser] = useParameter('user')
  const [view] = useParameter('view', TABS[0]!.id)
  const may = mayAsk(who)
  if (value === undefined) {
    return (
      <Page title="Work lists">
        {locked ? <TokenForm /> : error ? <NoWorkLists error={error} again={reload} /> : <Waiting what="the work lists" />}
      </Page>
    )
  }
  return (
    <Page title="Work lists" actions={may && <ChooseUser key={user} user={user} onUser={(id) => setUser(id, false)} />}>
      {error && <p class="finding" role="status">These figures are old: headroom serve does not answer. They go on when it does.</p>}
      {!may && <TokenForm />}
      {may && user === '' && <Empty title="Whose work lists?"><p>Type the user's id above. Each user's numbers count what he may see.</p></Empty>}
      {may && user !== '' && <Tabs tabs={TABS} current={view} label="Views of the work lists" />}
      {may && user !== '' && view === 'lists' && <Lists key={user} side={sideOf(user)} why={value.lists} />}
      {may && user !== '' && view === 'cost' && <Cost user={user} />}
      {(!may || user === '' || view === 'service') && <Service status={value} again={reload} />}
    </Page>
  )
}

/** A daemon that counts no lists knows none of their addresses. */
function NoWorkLists({ error, again }: { error: ApiError; again: () => void }) {
  if (error.status !== 404) return <Failure error={error} again={again} />
  return (
    <Empty title="Work lists are not turned on.">
      <p>They count every user's lists with his rights, live. Write in headroom.toml, and start headroom serve anew:</p>
      <pre>{'[worklist]\nfile = "worklists.yaml"\nurl = "postgresql://reader@localhost/shop"\nlive = true'}</pre>
      <p><code>headroom worklist check</code> says what is missing; docs/worklist.md describes the file.</p>
    </Empty>
  )
}
