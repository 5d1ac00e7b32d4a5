// A call whole, as the report `call` gives one.

import type { CallRow } from '../call_row'
import type { Which } from '../which'

export interface Statement {
  '#': number
  time: number
  number: number
  longest: number
  rows: number
  action: string
  tables: string | null
  fingerprint: string
  statement: string | null
  backtrace: string | null
}

export interface Attempt {
  '#': number
  time: number
  statements: number
  error: string | null
}

/** A call of the same session that this one ran inside itself, such as a task. */
export interface Child {
  '#': number
  method: string
  kind: string
  tm: number
  db_nb: number
  db_tm: number
  status: string
  repeated: number
}

export interface WholeCall extends CallRow {
  database: string
  session: string
  user_id: number | null
  address: string | null
  host: string | null
  process: number
  thread: number
  parent: string | null
  connection_wait: number
  lock_wait: number
  memory_growth: number | null
  cache_hits: number
  cache_misses: number
  cache_clears: number
  dropped_details: number
  id: string
  attempt_list: Attempt[]
  children: Child[]
  statements: Statement[]
}

export interface WhichCall extends Which {
  call: string
}
