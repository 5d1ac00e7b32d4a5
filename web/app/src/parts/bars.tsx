// Time as bars: what a call spent where, and when it ran.

import { shares } from '../call_row'
import { seconds } from '../units'

const PARTS = [['sql', 'SQL'], ['wait', 'waiting'], ['commit', 'commit'], ['rest', 'Python']] as const

type Timed = Parameters<typeof shares>[0]

function percent(part: number): string {
  return `${(100 * part).toFixed(3)}%`
}

/** The shares of a call side by side, as wide as the whole cell. */
export function ShareBar({ call }: { call: Timed }) {
  const all = shares(call)
  const title = PARTS.map(([key, name]) => `${name} ${seconds(all[key])}`).join(', ')
  return (
    <span class="bar-box" title={title} role="img" aria-label={title}>
      {PARTS.map(([key]) => all[key] > 0 && <span key={key} class={`bar-part part-${key}`} style={{ width: percent(all[key] / call.tm) }} />)}
    </span>
  )
}

/** The same placed where the call ran: `from` and `to` are parts of the axis. */
export function PlacedBar({ call, from, to }: { call: Timed; from: number; to: number }) {
  return (
    <span class="bar-box placed">
      <span class="bar-place" style={{ left: percent(from), width: percent(Math.max(to - from, 0)) }}><ShareBar call={call} /></span>
    </span>
  )
}

export function Legend() {
  return (
    <ul class="legend" aria-label="Colours">
      {PARTS.map(([key, name]) => <li key={key}><span class={`swatch part-${key}`} aria-hidden="true" />{name}</li>)}
    </ul>
  )
}
