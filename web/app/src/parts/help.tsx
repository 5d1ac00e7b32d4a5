import { useEffect, useRef } from 'preact/hooks'
import { shortcuts } from '../keys'
import { useSignal } from '../signal'

/** The shortcuts that are in force on this page. */
export function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const all = useSignal(shortcuts)
  useEffect(() => dialog.current?.showModal(), [])
  const seen = new Set<string>()
  const listed = [...all].reverse().filter((entry) => !seen.has(entry.keys[0]!) && seen.add(entry.keys[0]!)).reverse()
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="help-title" class="help">
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl class="facts">
        {listed.map(({ keys, does }) => <div key={keys[0]}><dt><kbd>{keys.join(' or ')}</kbd></dt><dd>{does}</dd></div>)}
      </dl>
      <form method="dialog"><button>Close</button></form>
    </dialog>
  )
}
