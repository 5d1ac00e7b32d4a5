import { placeOn, type DiffRow } from '../diff'
import { growth } from '../units'

function percent(part: number): string {
  return `${(100 * part).toFixed(2)}%`
}

/** A change with its interval as a line around the middle, which is no change. */
export function Interval({ row, end }: { row: DiffRow; end: number }) {
  if (row.low === null || row.high === null || row.change === null) return <span class="muted">–</span>
  const [from, to, at] = [row.low, row.high, row.change].map((change) => placeOn(end, change)) as [number, number, number]
  const title = `${growth(row.change)}, between ${growth(row.low)} and ${growth(row.high)}`
  return (
    <span class={`interval ${row.verdict}`} role="img" aria-label={title} title={title}>
      <span class="interval-middle" />
      <span class="interval-range" style={{ left: percent(from), width: percent(to - from) }} />
      <span class="interval-point" style={{ left: percent(at) }} />
    </span>
  )
}
