// A statement, laid out and coloured; and the line of code that sent it.

import { useState } from 'preact/hooks'
import { lines } from '../sql/format'
import { frames, type Frame } from '../sql/backtrace'
import { oneLine, visible } from '../visible'
import { Copy } from './copy'

/** Each word of it is an element. */
const MOST = 10_000

export function Sql({ text }: { text: string }) {
  const [whole, setWhole] = useState(false)
  const shown = whole ? text : text.slice(0, MOST)
  return (
    <div class="code-box">
      <pre class="sql" tabIndex={0} aria-label="SQL">{lines(shown).map((line) => (
        <>{'  '.repeat(line.depth)}{line.tokens.map((token, n) => (
          <>{n > 0 && token.spaced ? ' ' : ''}<span class={`sql-${token.kind}`}>{visible(token.text)}</span></>
        ))}{'\n'}</>
      ))}</pre>
      <Copy text={text} what="SQL" />
      {shown.length < text.length && <button type="button" onClick={() => setWhole(true)}>Show all of it</button>}
    </div>
  )
}

/** The frames that sent a statement, innermost first; those of the application stand out, and `tag` says what the first of them is. */
export function Backtrace({ text, tag = 'sent from here' }: { text: string; tag?: string }) {
  const all = frames(text)
  const own = all.find((frame) => frame.ofApplication) ?? all[0]
  if (all.length === 0) return <p class="muted">No backtrace: it is kept for statements that repeat or are slow.</p>
  return (
    <ol class="backtrace" tabIndex={0} aria-label="Backtrace, innermost first">
      {all.map((frame) => <FrameLine frame={frame} tag={frame === own ? tag : undefined} />)}
    </ol>
  )
}

function FrameLine({ frame, tag }: { frame: Frame; tag: string | undefined }) {
  return (
    <li class={tag ? 'chosen' : frame.ofApplication ? 'own' : undefined}>
      <code class="frame-place">{oneLine(frame.place)}</code> <code class="frame-function">{oneLine(frame.name)}</code>
      {tag && <span class="tag">{tag}</span>}
    </li>
  )
}
