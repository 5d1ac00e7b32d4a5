// The name of a method: where room is short its end stays, since that is what tells methods apart.

import { oneLine } from '../visible'

export function Method({ name }: { name: string | null }) {
  const text = oneLine(name) || '(unnamed)'
  const cut = tailAt(text)
  return <span class="method" title={text}><span class="method-head">{text.slice(0, cut)}</span><span class="method-tail">{text.slice(cut)}</span></span>
}

const LONGEST_TAIL = 24

/** Where the last part begins; a name without parts, or with a very long one, is cut at its end. */
export function tailAt(name: string): number {
  const dot = name.lastIndexOf('.')
  return dot > 0 && name.length - dot <= LONGEST_TAIL ? dot : name.length
}
