// Whose calls are recorded, and how much of them is kept. Every recording process obeys within two seconds.

import { useState } from 'preact/hooks'
import { Empty, Failure, Waiting } from '../parts/states'
import { Note, Page } from '../parts/layout'
import { mayChange, post, remove, session } from '../api'
import { asApiError, useResource } from '../resource'
import { useSignal } from '../signal'
import { count, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { endedRules, isSameRule, keepEnded } from '../ended_rules'
import { isInForce, ruleBody, ruleSpan, ruleText, type FileRule, type NewRule, type Rule } from '../rule'

interface Rules {
  rules: Rule[]
  of_files: FileRule[]
}

export default function RulesPage() {
  const { value, error, reload } = useResource<Rules>('/api/perf/rules', {}, 5000)
  const [ended, setEnded] = useState<Rule[]>(endedRules)
  const [problem, setProblem] = useState('')
  const change = mayChange(useSignal(session))
  const attempt = (action: Promise<unknown>) => {
    setProblem('')
    action.catch((reason: unknown) => setProblem(asApiError(reason).message)).finally(reload)
  }
  const changeEnded = (next: (others: Rule[]) => Rule[], rule: Rule) => setEnded((all) => {
    const list = next(all.filter((one) => !isSameRule(one, rule)))
    keepEnded(list)
    return list
  })
  const end = (rule: Rule) => attempt(remove(`/api/perf/rules/${encodeURIComponent(rule.id)}`).then(() => changeEnded((others) => [rule, ...others], rule)))
  const again = (rule: Rule) => attempt(post('/api/perf/rules', ruleBody(rule)).then(() => changeEnded((others) => others, rule)))
  if (error && !value) return <Page title="Trace rules"><Failure error={error} again={reload} /></Page>
  const off = ended.filter((rule) => value?.rules.every((one) => !isSameRule(one, rule)))
  return (
    <Page title="Trace rules">
      {value === undefined ? <Waiting what="rules" /> : <>
        {value.rules.length + off.length === 0 && <NoRule ofFiles={value.of_files.length} change={change} />}
        {value.rules.length + off.length > 0 && <ul class="rules">
          {value.rules.map((rule) => ({ rule, on: isInForce(rule, Date.now()) })).map(({ rule, on }) => (
            <RuleItem key={rule.id} rule={rule} on={on} change={change} onSwitch={() => on ? end(rule) : again(rule)} />))}
          {off.map((rule) => <RuleItem key={`${rule.id} ${rule.created_us}`} rule={rule} on={false} change={change} onSwitch={() => again(rule)} />)}
        </ul>}
        {value.of_files.length > 0 && <FileRules rules={value.of_files} />}
        <p class="problem" role="alert">{visible(problem)}</p>
        {change ? <AddRule onAdded={reload} /> : <Note>Only an administrator who is signed in changes rules.</Note>}
      </>}
    </Page>
  )
}

function NoRule({ ofFiles, change }: { ofFiles: number; change: boolean }) {
  return (
    <Empty title={ofFiles > 0 ? 'Only what trytond.conf says is recorded now.' : 'Nothing is recorded now.'}>
      <p>A rule chooses whose calls are recorded, and for how long. {change ? 'Add one below.' : 'Sign in as an administrator to add one.'}</p>
    </Empty>
  )
}

interface RuleItemProps {
  rule: Rule
  on: boolean
  change: boolean
  onSwitch: () => void
}

function RuleItem({ rule, on, change, onSwitch }: RuleItemProps) {
  const text = ruleText(rule)
  const end = rule.expires_us === undefined ? 'without an end' : `ends in ${seconds(Math.ceil((rule.expires_us / 1000 - Date.now()) / 1000))}`
  return (
    <li class={on ? 'rule' : 'rule off'}>
      <button type="button" role="switch" aria-checked={on} class="switch" disabled={!change} onClick={onSwitch}
        aria-label={`Rule ${rule.id}: ${text.who}`} title={on ? 'End this rule' : `Put this rule in force again, for ${span(rule)}`}><span class="knob" /></button>
      <div>
        <p><strong>{oneLine(text.who)}</strong> <span class="muted">{oneLine(text.what)}</span></p>
        <p class="muted small">{rule.id}{rule.author ? `, by ${oneLine(rule.author)}` : ''}, {on ? end : `off; held for ${span(rule)}`}</p>
      </div>
    </li>
  )
}

/** What a rule was to hold: whole numbers, as they were chosen. */
function span(rule: Rule): string {
  const length = ruleSpan(rule)
  const [name, size] = length % 86400 === 0 ? ['day', 86400] as const : length % 3600 === 0 ? ['hour', 3600] as const
    : length % 60 === 0 ? ['minute', 60] as const : ['second', 1] as const
  return plural(length / size, name)
}

function FileRules({ rules }: { rules: FileRule[] }) {
  return (
    <section aria-labelledby="file-rules">
      <h2 id="file-rules">Of trytond.conf</h2>
      <ul class="rules">{rules.map(({ rule, processes, hosts }, n) => {
        const text = ruleText(rule)
        return (
          <li key={n} class="rule"><div>
            <p><strong>{oneLine(text.who)}</strong> <span class="muted">{oneLine(text.what)}</span></p>
            <p class="muted small">{processes === 1 ? '1 process' : `${count(processes)} processes`} on {oneLine(hosts.join(', '))}</p>
          </div></li>
        )
      })}</ul>
      <Note>Section <code>[perf]</code> of trytond.conf says so: it is changed there, and holds after a restart.</Note>
    </section>
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
