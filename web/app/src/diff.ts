// A comparison as the daemon answers it, and how wide it is drawn.

export type Verdict = 'worse' | 'better' | 'same' | 'unclear' | 'few' | 'new' | 'gone'

export interface Side {
  name: string
  calls: number
  first: string | null
  last: string | null
  time: number
  complete: boolean
}

export interface DiffRow {
  method?: string
  table?: string
  statement?: string
  verdict: Verdict
  change: number | null
  low: number | null
  high: number | null
  added: number
  calls_a: number
  calls_b: number
  time_a: number | null
  time_b: number | null
  sql_a?: number | null
  sql_b?: number | null
  number_a: number | null
  number_b: number | null
}

export interface Diff {
  summary: {
    by: string
    measure: string
    threshold: number
    confidence: number
    worse: number
    few: number
    new: number
    verdict: Verdict
    change: number | null
    low: number | null
    high: number | null
    a: Side
    b: Side
  }
  rows: DiffRow[]
  total: number
  note?: string
}

export const VERDICTS: Record<string, { title: string; short: string; mark?: 'bad' | 'good' | 'muted' | undefined }> = {
  worse: { title: 'It became worse.', short: 'worse', mark: 'bad' },
  better: { title: 'It became better.', short: 'better', mark: 'good' },
  same: { title: 'It is the same.', short: 'same' },
  unclear: { title: 'It can’t be told from noise.', short: 'unclear', mark: 'muted' },
  few: { title: 'There are too few calls to judge.', short: 'few', mark: 'muted' },
  new: { title: 'It is new.', short: 'new', mark: 'bad' },
  gone: { title: 'It is gone.', short: 'gone', mark: 'muted' },
}

/** Changes beyond this part of the rows do not stretch the drawing. */
const USUAL = 0.9

/** How far the axis reaches on both sides of no change: most intervals fit, and the same change always looks the same. */
export function axisEnd(rows: readonly DiffRow[]): number {
  const ends = rows.filter((row) => row.low !== null && row.high !== null)
    .map((row) => Math.max(Math.abs(row.low!), Math.abs(row.high!))).sort((x, y) => x - y)
  if (ends.length === 0) return 1
  return Math.max(0.2, ends[Math.min(ends.length - 1, Math.floor(ends.length * USUAL))]!)
}

/** Where a change stands from 0 to 1; what is beyond the axis stands at its end. */
export function placeOn(end: number, change: number): number {
  return Math.min(1, Math.max(0, 0.5 + change / (2 * end)))
}
