// A trace rule in words, and as the daemon takes it.

export interface Rule {
  id: string
  author: string
  database: string
  users: string[]
  methods: string[]
  profile: string[]
  sample: string[]
  db: string[]
  io: string[]
  query_us?: number | null
  slower_than_us: number
  one_in: number
  created_us: number
  /** A rule without it never ends. */
  expires_us?: number
}

/** A rule of processes that have it from their trytond.conf; only there it is changed. */
export interface FileRule {
  rule: Rule
  processes: number
  hosts: string[]
}

export interface NewRule {
  users?: string[]
  methods?: string[]
  profile?: string[]
  sample?: string[]
  db?: string[]
  io?: string[]
  database?: string
  query?: string
  slower_than?: string
  one_in?: number
  for?: string
}

/** Who is recorded, and what is kept. */
export function ruleText(rule: Rule): { who: string; what: string } {
  const who = rule.users.length > 0 ? rule.users.join(', ') : 'everybody'
  const limits = [
    rule.methods.length > 0 && `in ${rule.methods.join(', ')}`,
    rule.database && `of database ${rule.database}`,
    rule.slower_than_us > 0 && `slower than ${rule.slower_than_us / 1000} ms`,
    rule.one_in > 1 && `one call in ${rule.one_in}`,
  ].filter(Boolean)
  const kept = [
    ['exact profile of', rule.profile], ['sampling profile of', rule.sample], ['every statement of', rule.db], ['bodies of', rule.io],
  ].filter(([, globs]) => globs!.length > 0).map(([what, globs]) => `${what as string} ${(globs as string[]).join(', ')}`)
  if (rule.query_us !== null && rule.query_us !== undefined) kept.push(`statements over ${rule.query_us / 1000} ms`)
  return { who: [who, ...limits].join(' '), what: kept.length > 0 ? `with ${kept.join('; ')}` : 'figures only' }
}

/** Whether it holds at a time in milliseconds. */
export function isInForce(rule: Rule, now: number): boolean {
  return rule.expires_us === undefined || rule.expires_us > now * 1000
}

/** How long it was to hold, in seconds; an hour, as the daemon has it, where nothing was said. */
export function ruleSpan(rule: Rule): number {
  const span = rule.expires_us === undefined ? 0 : Math.round((rule.expires_us - rule.created_us) / 1e6)
  return span > 0 ? span : 3600
}

/** The same rule anew, for as long as it was to hold. */
export function ruleBody(rule: Rule): NewRule {
  const body: NewRule = { for: `${ruleSpan(rule)}s` }
  for (const key of ['users', 'methods', 'profile', 'sample', 'db', 'io'] as const) {
    if (rule[key].length > 0) body[key] = rule[key]
  }
  if (rule.database) body.database = rule.database
  if (rule.query_us !== null && rule.query_us !== undefined) body.query = `${rule.query_us / 1000}ms`
  if (rule.slower_than_us > 0) body.slower_than = `${rule.slower_than_us / 1000}ms`
  if (rule.one_in > 1) body.one_in = rule.one_in
  return body
}
