// What the client sent and what it got, as far as it was kept.

import type { Report } from '../api'
import { Body } from '../parts/body'
import { Failure, Waiting } from '../parts/states'
import { useResource } from '../resource'
import { bytes } from '../units'
import { reference } from '../which'
import type { WhichCall } from './whole_call'

interface BodyRow {
  request: string | null
  response: string | null
  req_size: number | null
  res_size: number | null
}

export function Bodies(which: WhichCall) {
  const { value, error, reload } = useResource<Report<BodyRow>>('/api/perf/io', { session: reference(which), call: which.call })
  if (error) return <Failure error={error} again={reload} />
  const row = value?.rows[0]
  if (row === undefined) return <Waiting what="bodies" />
  return (
    <section aria-label="Bodies">
      <h2>Request <span class="muted">{bytes(row.req_size)}</span></h2>
      {row.request === null ? <p class="muted">None was kept.</p> : <Body text={row.request} size={row.req_size} what="request" />}
      <h2>Response <span class="muted">{bytes(row.res_size)}</span></h2>
      {row.response === null ? <p class="muted">None was kept.</p> : <Body text={row.response} size={row.res_size} what="response" />}
    </section>
  )
}
