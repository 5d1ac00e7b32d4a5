// A body as it was kept: JSON laid out, anything else as it is. Always text, whatever it holds.

import { useMemo, useState } from 'preact/hooks'
import { bytes } from '../units'
import { visible } from '../visible'
import { Copy } from './copy'

/** As much as is laid out at once; a megabyte in one element makes a browser slow. */
const MOST = 100_000

function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

export function Body({ text, size, what }: { text: string; size?: number | null; what: string }) {
  const [whole, setWhole] = useState(false)
  const pretty = useMemo(() => laidOut(text), [text])
  const shown = whole ? pretty : pretty.slice(0, MOST)
  const kept = new Blob([text]).size
  return (
    <div class="code-box">
      <pre class="body" tabIndex={0} aria-label={what}>{visible(shown)}</pre>
      <Copy text={text} what={what} />
      {shown.length < pretty.length && <button type="button" onClick={() => setWhole(true)}>Show all of it</button>}
      {size !== undefined && size !== null && size > kept && <p class="note">The first {bytes(kept)} of {bytes(size)} were kept.</p>}
    </div>
  )
}
