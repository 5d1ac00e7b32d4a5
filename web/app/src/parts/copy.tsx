import { useState } from 'preact/hooks'

/** Puts a text on the clipboard and says so. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false)
  if (!navigator.clipboard) return null // only secure origins have one
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setDone(true)
      setTimeout(() => setDone(false), 1500)
    })
  }
  return <button type="button" class="quiet copy" onClick={copy} aria-label={`${done ? 'Copied' : 'Copy'} ${what}`}>{done ? 'Copied' : 'Copy'}</button>
}
