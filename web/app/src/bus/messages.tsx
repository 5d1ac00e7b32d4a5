// The messages of channels as they pass, and what one channel keeps.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { mayRead, session } from '../api'
import { Body } from '../parts/body'
import { Filter, Note } from '../parts/layout'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import type { Connection } from '../live'
import { useResource } from '../resource'
import { addressWith, Link, place, useParameter } from '../router'
import { localRows } from '../rows'
import { useSignal } from '../signal'
import { bytes, count, moment, plural } from '../units'
import { oneLine } from '../visible'
import { matching, nextLook, TailFeed, tailAddress, type History, type TailMessage } from './tail'

export function messagesAddress(channel: string): string {
  return addressWith({ path: '/bus', query: new URLSearchParams() }, { view: 'messages', channel })
}

const columns: TableColumn<TailMessage>[] = [
  { name: 'at', title: 'Came', hint: 'When it came to this page', width: 84, right: true, cell: (row) => row.at === undefined ? 'before' : moment(new Date(row.at).toISOString()) },
  { name: 'channel', title: 'Channel', width: 110, grow: 1, rank: 2, cell: (row) => <span title={oneLine(row.channel, 300)}>{oneLine(row.channel, 300)}</span> },
  { name: 'offset', title: 'Offset', width: 84, right: true, rank: 3, cell: (row) => count(row.offset) },
  { name: 'size', title: 'Size', width: 80, right: true, rank: 4, cell: (row) => bytes(row.text.length) },
  { name: 'text', title: 'Data', width: 200, grow: 4, cell: (row) => <code>{oneLine(row.text, 300)}</code> },
]

export function Messages() {
  const may = mayRead(useSignal(session))
  const [channel, setChannel] = useParameter('channel')
  const [feed, setFeed] = useState<TailFeed>()
  useEffect(() => {
    if (!may) return
    const made = new TailFeed(tailAddress(channel))
    setFeed(made)
    return () => made.close()
  }, [channel, may])
  if (!may) return <Empty title="Viewers don't see messages."><p>They are what the application tells its users. Sign in as an administrator to read them.</p></Empty>
  return (
    <section aria-label="Messages">
      <ChannelField channel={channel} onChange={setChannel} />
      {feed && <List key={channel} feed={feed} channel={channel} />}
    </section>
  )
}

/** Another channel is another connection, so it is not followed while one types. */
function ChannelField({ channel, onChange }: { channel: string; onChange: (channel: string, replace: boolean) => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    onChange(String(new FormData(event.currentTarget as HTMLFormElement).get('channel') ?? '').trim(), false)
  }
  return (
    <form class="tools" onSubmit={submit} role="search">
      <div class="actions">
        <label class="filter"><span class="hidden">Channel</span>
          <input name="channel" key={channel} defaultValue={channel} placeholder="Channel, or how it begins" spellcheck={false} autocomplete="off" /></label>
        <button type="submit">Follow</button>
        {channel !== '' && <button type="button" class="quiet" onClick={() => onChange('', false)}>All channels</button>}
      </div>
    </form>
  )
}

const CONNECTION: Record<Connection, string> = { connecting: 'connecting …', open: 'live', lost: 'connection lost; trying again' }

function List({ feed, channel }: { feed: TailFeed; channel: string }) {
  const connection = useSignal(feed.connection)
  const tail = useSignal(feed.tail)
  const [held, setHeld] = useState<typeof tail>()
  const [filter, setFilter] = useParameter('filter')
  const [chosen] = useParameter('message')
  const from = useSignal(place)
  useKept(feed, channel)
  const { messages, came } = held ?? tail
  const rows = useMemo(() => localRows(matching(messages, filter), undefined, ''), [messages, filter])
  const message = chosen === '' ? undefined : messages.find((one) => one.key === chosen)
  return (
    <>
      <div class="tools">
        <p class="live-state"><span class={`dot ${connection}`} aria-hidden="true" /><span role="status">{CONNECTION[connection]}</span>
          <button type="button" class="quiet" onClick={() => setHeld(held ? undefined : tail)}>{held ? 'Go on' : 'Hold'}</button>
          <button type="button" class="quiet" onClick={() => { feed.clear(channel); setHeld(undefined) }}>Clear</button></p>
        <Filter label="Messages" value={filter} onChange={setFilter} placeholder="Message contains …" />
      </div>
      <Table label="Messages" columns={columns} rows={rows} most={14} to={(row) => addressWith(from, { message: row.key })}
        mark={(row) => row.key === chosen ? 'chosen' : undefined} empty={<Nothing channel={channel} some={messages.length} />} />
      {chosen !== '' && (message ? <Chosen message={message} /> : <Note>The message that this address names is not in the list: it may have come before, or be kept no longer.</Note>)}
      <Note>{plural(came, 'message')} since this page is open; the list holds the newest {count(messages.length)}.
        {channel === '' ? ' It shows channels that have subscribers.' : ''}</Note>
    </>
  )
}

/** What the channel keeps, asked again: the tail tells nothing of a channel that has no subscribers. */
function useKept(feed: TailFeed, channel: string): void {
  const { value } = useResource<History>(channel === '' ? undefined : '/api/bus/history', { channel, limit: 50, ...nextLook(useSignal(feed.tail)) }, 2000)
  useEffect(() => {
    if (value) feed.kept(channel, value)
  }, [value])
}

function Nothing({ channel, some }: { channel: string; some: number }) {
  if (some > 0) return <Empty title="No message matches."><p>Empty the filter to see all {count(some)}.</p></Empty>
  return (
    <Empty title="No message yet.">
      <p>{channel === '' ? 'Messages of channels with subscribers appear here as they pass.' : `Messages of channels that begin with ${oneLine(channel, 300)} appear here as they pass.`}
        {' '}<Link to={addressWith({ path: '/bus', query: new URLSearchParams() }, { view: 'publish', channel })}>Publish one</Link></p>
    </Empty>
  )
}

function Chosen({ message }: { message: TailMessage }) {
  return (
    <section class="card" aria-label="The message">
      <h2>{oneLine(message.channel, 300)} <span class="muted">{count(message.offset)}, {bytes(message.text.length)}</span></h2>
      <Body key={message.key} text={message.text} what="data of the message" />
    </section>
  )
}
