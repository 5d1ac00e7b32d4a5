// Whose calls are recorded, and how much of them is kept. Every recording process obeys within two seconds.

import { useState } from 'preact/hooks'
import { Empty, Failure, Waiting } from '../parts/states'
import { Note, Page } from '../parts/layout'
import { mayChange, post, remove, session } from '../api'
import { asApiError, useResource } from '../resource'
import { useSignal } from '../signal'
import { seconds } from '../units'
import { oneLine, visible } from '../visible'
import { ruleBody, ruleText, type NewRule, type Rule } from '../rule'

export default function Rules() {
  const { value, error, reload } = useResource<{ rules: Rule[] }>('/api/perf/rules', {}, 5000)
  const [ended, setEnded] = useState<Rule[]>([])
  const [problem, setProblem] = useState('')
  const change = mayChange(useSignal(session))
  const attempt = (action: Promise<unknown>) => {
    setProblem('')
    action.catch((reason: unknown) => setProblem(asApiError(reason).message)).finally(reload)
  }
  const end = (rule: Rule) => attempt(remove(`/api/perf/rules/${encodeURIComponent(rule.id)}`).then(() => setEnded((all) => [rule, ...all])))
  const again = (rule: Rule) => attempt(post('/api/perf/rules', ruleBody(rule)).then(() => setEnded((all) => all.filter((one) => one !== rule))))
  if (error && !value) return <Page title="Trace rules"><Failure error={error} again={reload} /></Page>
  return (
    <Page title="Trace rules">
      {value === undefined ? <Waiting what="rules" /> : <>
        {value.rules.length + ended.length === 0
          ? <Empty title="Nothing is recorded now."><p>A rule chooses whose calls are recorded, and for how long. {change ? 'Add one below.' : 'Sign in as an administrator to add one.'}</p></Empty>
          : <ul class="rules">
              {value.rules.map((rule) => <RuleItem key={rule.id} rule={rule} on={rule.expires_us > Date.now() * 1000} change={change} onSwitch={() => rule.expires_us > Date.now() * 1000 ? end(rule) : again(rule)} />)}
              {ended.filter((rule) => value.rules.every((one) => one.id !== rule.id)).map((rule) => <RuleItem key={rule.id} rule={rule} on={false} change={change} onSwitch={() => again(rule)} />)}
            </ul>}
        <p class="problem" role="alert">{visible(problem)}</p>
        {change ? <AddRule onAdded={reload} /> : <Note>Only an administrator who is signed in changes rules.</Note>}
      </>}
    </Page>
  )
}

interface RuleItemProps {
  rule: Rule
  on: boolean
  change: boolean
  onSwitch: () => void
}

function RuleItem({ rule, on, change, onSwitch }: RuleItemProps) {
  const left = (rule.expires_us / 1000 - Date.now()) / 1000
  const text = ruleText(rule)
  return (
    <li class={on ? 'rule' : 'rule off'}>
      <button type="button" role="switch" aria-checked={on} class="switch" disabled={!change} onClick={onSwitch}
        aria-label={`Rule ${rule.id}: ${text.who}`} title={on ? 'End this rule' : 'Put this rule in force again, for an hour'}><span class="knob" /></button>
      <div>
        <p><strong>{oneLine(text.who)}</strong> <span class="muted">{oneLine(text.what)}</span></p>
        <p class="muted small">{rule.id}{rule.author ? `, by ${oneLine(rule.author)}` : ''}{on ? `, ends in ${seconds(Math.ceil(left))}` : ', off'}</p>
      </div>
    </li>
  )
}

const LISTS: [keyof NewRule & string, string, string][] = [
  ['users', 'Users', 'admin, 7'],
  ['methods', 'Methods', 'model.sale.*'],
  ['profile', 'Exact profile of', 'model.sale.sale.quote'],
  ['sample', 'Sampling profile of', 'model.*'],
  ['db', 'Every statement of', 'model.sale.*'],
  ['io', 'Bodies of', 'model.sale.*'],
]

function AddRule({ onAdded }: { onAdded: () => void }) {
  const [problem, setProblem] = useState('')
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const data = new FormData(form)
    const field = (name: string) => String(data.get(name) ?? '').trim()
    const body: NewRule = { for: field('for') }
    for (const [key] of LISTS) {
      const list = field(key).split(/[\s,]+/).filter((one) => one !== '')
      if (list.length > 0) Object.assign(body, { [key]: list })
    }
    for (const key of ['query', 'slower_than', 'database'] as const) if (field(key)) body[key] = field(key)
    setProblem('')
    post('/api/perf/rules', body).then(() => {
      form.reset()
      onAdded()
    }, (reason: unknown) => setProblem(asApiError(reason).message))
  }
  return (
    <form class="card form" onSubmit={submit} aria-labelledby="add-rule">
      <h2 id="add-rule">Add a rule</h2>
      <div class="fields">
        {LISTS.map(([key, title, example]) => <label key={key}>{title}<input name={key} placeholder={example} spellcheck={false} autocomplete="off" /></label>)}
        <label>Slow statements from<input name="query" placeholder="100ms" autocomplete="off" /></label>
        <label>Only calls slower than<input name="slower_than" placeholder="0" autocomplete="off" /></label>
        <label>Database<input name="database" placeholder="all" autocomplete="off" /></label>
        <label>For<select name="for"><option value="1h">1 hour</option><option value="10m">10 minutes</option><option value="8h">8 hours</option><option value="1d">1 day</option></select></label>
      </div>
      <p class="muted small">Several names are separated by commas; * stands for anything. Users or methods say who; <code>*</code> as method is everybody.
        Profiles and bodies cost time and room: choose them for few methods.</p>
      <p class="problem" role="alert">{visible(problem)}</p>
      <div class="actions"><button type="submit" class="main">Add rule</button></div>
    </form>
  )
}
