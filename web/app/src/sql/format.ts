// SQL as people read it: a clause a line, what belongs to it behind it. Only white space outside of strings changes, so the
// result means what the text meant; what the formatter does not know stays as it is.

export type TokenKind = 'word' | 'keyword' | 'name' | 'string' | 'number' | 'sign' | 'comment' | 'parameter'

export interface Token {
  kind: TokenKind
  text: string
  /** White space stood before it. */
  spaced: boolean
}

const KEYWORDS = new Set(('ALL AND AS ASC BETWEEN BY CASE CAST CROSS DELETE DESC DISTINCT ELSE END EXCEPT EXISTS EXTRACT FALSE FETCH FOR ' +
  'FROM FULL GROUP HAVING ILIKE IN INNER INSERT INTERSECT INTO IS JOIN LATERAL LEFT LIKE LIMIT NATURAL NOT NULL OFFSET ON OR ORDER ' +
  'OUTER OVER PARTITION RECURSIVE RETURNING RIGHT SELECT SET THEN TRUE UNION UPDATE USING VALUES WHEN WHERE WINDOW WITH').split(' '))

const TOKEN = new RegExp([
  '(?<string>\'(?:[^\']|\'\')*(?:\'|$)|\\$(?<tag>\\w*)\\$[^]*?(?:\\$\\k<tag>\\$|$))',
  '(?<name>"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))',
  '(?<comment>--[^\\n]*|/\\*[^]*?(?:\\*/|$))',
  '(?<parameter>%\\([^)]*\\)s|%s|\\?|\\$\\d+|:\\w+)',
  '(?<number>\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)',
  '(?<word>[^\\W\\d][\\w$]*)',
  '(?<sign><=|>=|<>|!=|\\|\\||::|[^\\s])',
].join('|'), 'yu')

export function tokens(sql: string): Token[] {
  const found: Token[] = []
  let at = 0
  while (at < sql.length) {
    const space = /\s*/y
    space.lastIndex = at
    const spaced = space.exec(sql)![0].length > 0
    at = space.lastIndex
    if (at >= sql.length) break
    TOKEN.lastIndex = at
    const match = TOKEN.exec(sql)
    if (match === null) break
    at = TOKEN.lastIndex
    found.push({ kind: kindOf(match.groups!), text: match[0], spaced })
  }
  return found
}

function kindOf(groups: Record<string, string | undefined>): TokenKind {
  if (groups.word !== undefined) return KEYWORDS.has(groups.word.toUpperCase()) ? 'keyword' : 'word'
  return (['string', 'name', 'comment', 'parameter', 'number'] as const).find((kind) => groups[kind] !== undefined) ?? 'sign'
}

// What begins a line of its own, at the depth of its parentheses.
const CLAUSES = new Set(['SELECT', 'FROM', 'WHERE', 'GROUP', 'ORDER', 'HAVING', 'LIMIT', 'OFFSET', 'UNION', 'EXCEPT', 'INTERSECT', 'SET',
  'VALUES', 'RETURNING', 'INSERT', 'UPDATE', 'DELETE', 'WITH', 'WINDOW'])
const JOINS = new Set(['JOIN', 'LEFT', 'RIGHT', 'INNER', 'FULL', 'CROSS', 'NATURAL'])

export interface Line {
  depth: number
  tokens: Token[]
}

/** How much of a list stands in one line before it is broken after commas. */
const LONG = 100

/** The statement as lines; `depth` counts steps of indentation. */
export function lines(sql: string): Line[] {
  const result: Line[] = []
  let line: Line = { depth: 0, tokens: [] }
  const stack: { depth: number; broken: boolean }[] = []
  let depth = 0
  const begin = (at: number) => {
    if (line.tokens.length > 0) result.push(line)
    line = { depth: at, tokens: [] }
  }
  const all = tokens(sql)
  all.forEach((token, n) => {
    const word = token.kind === 'keyword' ? token.text.toUpperCase() : ''
    const before = all[n - 1]?.text.toUpperCase() ?? ''
    if (token.text === ')') {
      const group = stack.pop()
      depth = group?.depth ?? 0
      if (group?.broken) begin(depth)
    } else if (startsClause(word, before)) begin(depth)
    else if (startsJoin(word, before)) begin(depth)
    else if ((word === 'AND' || word === 'OR') && !insideBetween(all, n) && width(line) > 40) begin(depth + 1)
    else if (width(line) > LONG && before === ',') begin(depth + 1)
    line.tokens.push(token)
    if (token.text === '(') {
      const next = all[n + 1]?.text.toUpperCase()
      const broken = next === 'SELECT' || next === 'WITH'
      stack.push({ depth, broken })
      if (broken) {
        depth += 1
        begin(depth)
      }
    }
    if (token.kind === 'comment' && token.text.startsWith('--')) begin(depth)
  })
  begin(0)
  return result
}

function startsClause(word: string, before: string): boolean {
  if (!CLAUSES.has(word)) return false
  if (word === 'FROM' && before === 'DELETE') return false
  if (word === 'SELECT' && (before === 'ALL' || before === 'UNION')) return true
  if (word === 'UPDATE' && before === 'FOR') return false
  return true
}

function startsJoin(word: string, before: string): boolean {
  if (!JOINS.has(word)) return false
  return word !== 'JOIN' || !(JOINS.has(before) || before === 'OUTER')
}

function insideBetween(all: Token[], at: number): boolean {
  return all[at]!.text.toUpperCase() === 'AND' && all.slice(Math.max(0, at - 4), at).some((token) => token.text.toUpperCase() === 'BETWEEN')
}

function width(line: Line): number {
  return line.tokens.reduce((sum, token) => sum + token.text.length + (token.spaced ? 1 : 0), 0)
}

/** The whole statement as text. */
export function format(sql: string): string {
  return lines(sql).map((line) => '  '.repeat(line.depth) + lineText(line)).join('\n')
}

export function lineText(line: Line): string {
  return line.tokens.map((token, n) => (n > 0 && token.spaced ? ' ' : '') + token.text).join('')
}
