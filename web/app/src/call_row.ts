// A call in a list: the columns of the report `call`.

export interface CallRow {
  '#': number
  method: string
  dt: string
  tm: number
  db_nb: number
  db_tm: number
  req_size: number
  res_size: number
  status: string
  error: string | null
  cpu: number | null
  wait: number
  commit: number
  rows: number
  repeated: number
  attempts: number
  kind: string
  details: string | null
  user: string | null
  http_status: number | null
}

/** One statement so often in one call: the sign of a query in a loop. */
export const MANY = 10

export const STATUS_TEXT: Record<string, string> = {
  ok: 'ok',
  user_error: 'user error',
  warning: 'warning',
  concurrency: 'collision',
  exception: 'exception',
  http_error: 'HTTP error',
  killed: 'killed',
}

/** How a status is coloured: what a user was told is no defect. */
export function statusMark(status: string): 'bad' | 'warn' | undefined {
  if (status === 'exception' || status === 'http_error' || status === 'killed' || status === 'concurrency') return 'bad'
  return status === 'ok' ? undefined : 'warn'
}

/** Where the time of a call went, in seconds; the parts do not overlap and add up to the whole. */
export interface Shares {
  sql: number
  wait: number
  commit: number
  rest: number
}

export function shares(call: { tm: number; db_tm: number; wait: number; commit: number }): Shares {
  let left = call.tm
  const take = (part: number) => {
    const taken = Math.min(Math.max(part, 0), left)
    left -= taken
    return taken
  }
  return { sql: take(call.db_tm), wait: take(call.wait), commit: take(call.commit), rest: left }
}
