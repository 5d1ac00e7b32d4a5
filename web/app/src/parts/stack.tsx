// What a running call executes at this moment: its process is asked, and answers also while the call holds the interpreter.

import type { RunningCall } from '../live'
import { useResource } from '../resource'
import { plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { Backtrace } from './sql'
import { Failure, Waiting } from './states'

interface StackFrame {
  file: string
  line: number
  function: string
}

export interface RunningStack {
  call: RunningCall
  origin: 'thread' | 'greenlet' | null
  left_out: number
  /** Innermost last. */
  frames: StackFrame[]
  error: { code: string; message: string } | null
}

export function Stack({ call, onClose }: { call: string; onClose: () => void }) {
  const { value, error, reload } = useResource<{ stacks: RunningStack[] }>('/api/perf/stack', { which: call })
  const stack = value?.stacks[0]
  return (
    <section class="stack" aria-label="Stack">
      <h3>{stack ? <>Stack of {oneLine(stack.call.method, 80)} after {seconds(stack.call.seconds)}</> : 'Stack'}</h3>
      {error ? <Failure error={error} again={reload} /> : stack === undefined ? <Waiting what="the stack" /> : <Frames stack={stack} />}
      <div class="actions">
        <button type="button" onClick={reload}>Look again</button>
        <button type="button" class="quiet" onClick={onClose}>Close the stack</button>
      </div>
    </section>
  )
}

function Frames({ stack }: { stack: RunningStack }) {
  if (stack.error) return <p class="problem" role="alert">{visible(stack.error.message)}</p>
  const text = stack.frames.map((frame) => `${frame.file}:${frame.line} ${frame.function}`).join('\n')
  return (
    <>
      <Backtrace text={text} tag="is here" />
      {stack.left_out > 0 && <p class="note">{plural(stack.left_out, 'outer frame')} left out.</p>}
      {stack.origin === 'greenlet' && <p class="note">Its greenlet waits: another one has the thread.</p>}
    </>
  )
}
