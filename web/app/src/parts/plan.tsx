// How the database would run a statement, as a tree: what stands deeper is done first. The bar is the part that a step takes itself.

import { useEffect, useState } from 'preact/hooks'
import { address, get, mayChange, post, session, type Parameters } from '../api'
import { drawn, mayMeasure, type DrawnNode, type Explanation } from '../plan'
import { asApiError } from '../resource'
import { useParameter } from '../router'
import { useSignal } from '../signal'
import { count, number, plural, seconds } from '../units'
import { visible } from '../visible'

/** `action` is what the statement begins with. */
export function Explain({ action, what }: { action: string; what: Parameters }) {
  const [answer, setAnswer] = useState<Explanation>()
  const [problem, setProblem] = useState('')
  const [busy, setBusy] = useState(false)
  const [shown, setShown] = useParameter('plan')
  const change = mayChange(useSignal(session))
  const ask = (question: Promise<Explanation>) => {
    setBusy(true)
    setProblem('')
    question.then(setAnswer, (reason: unknown) => setProblem(asApiError(reason).message)).finally(() => setBusy(false))
  }
  const show = () => ask(get('/api/perf/explain', what))
  // A link to a shown plan asks for it; what was measured is not measured again.
  useEffect(() => {
    if (shown === 'shown') show()
  }, [])
  return (
    <section aria-label="Plan">
      <div class="actions">
        <button type="button" disabled={busy} onClick={() => { setShown('shown'); show() }}>Show the plan</button>
        {change && mayMeasure(action, answer?.plan) && <button type="button" disabled={busy} title="Runs the statement in a transaction that is rolled back"
          onClick={() => ask(post(address('/api/perf/explain', what), {}))}>Run and measure</button>}
      </div>
      <p class="problem" role="alert">{visible(problem)}</p>
      {answer && <PlanTree answer={answer} />}
    </section>
  )
}

function PlanTree({ answer }: { answer: Explanation }) {
  const { plan } = answer
  const nodes = drawn(plan)
  return (
    <>
      <ol class="plan" aria-label="Steps, the last one first">
        {nodes.map((node) => <Step key={node.at} node={node} worst={node.at === answer.worst_scan} />)}
      </ol>
      <p class="note">{answer.note ? `${visible(answer.note)}. ` : ''}{plan.analyzed && plan.execution_ms !== null
        ? `It ran ${seconds(plan.execution_ms / 1000)}; planning took ${seconds((plan.planning_ms ?? 0) / 1000)}.`
        : plan.dialect === 'sqlite' ? 'SQLite tells steps, tables and indexes only.' : 'Bars are what the planner thinks; nothing was run.'}</p>
    </>
  )
}

function Step({ node, worst }: { node: DrawnNode; worst: boolean }) {
  return (
    <li class={worst ? 'step worst' : 'step'} style={{ marginLeft: `${Math.min(node.depth, 12) * 1.4}rem` }}>
      <div class="step-head">
        <strong>{visible(node.operation)}</strong>{node.relation && <code>{visible(node.relation)}</code>}
        {node.index && <span class="muted">by index <code>{visible(node.index)}</code></span>}
        {worst && <span class="tag bad">reads the whole table</span>}
        {node.wrong !== null && <span class="tag">{number(node.wrong)}× other rows than thought</span>}
      </div>
      {node.condition && <code class="step-condition">{visible(node.condition)}</code>}
      {node.detail && <span class="muted small">{visible(node.detail)}</span>}
      <div class="step-figures">
        {node.share !== null && <span class="step-bar"><span style={{ width: `${(100 * node.share).toFixed(2)}%` }} /></span>}
        {node.actual_ms !== null && <span>{seconds(node.actual_ms / 1000)}</span>}
        {node.actual_rows !== null ? <span>{plural(node.actual_rows, 'row')}{node.loops !== null && node.loops > 1 ? `, ${count(node.loops)} times` : ''}</span>
          : node.rows !== null && <span>about {plural(node.rows, 'row')}</span>}
        {node.actual_ms === null && node.cost !== null && <span class="muted">cost {number(node.cost)}</span>}
      </div>
    </li>
  )
}
