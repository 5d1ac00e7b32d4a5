// A plan of a database as the daemon answers it, and what a reader looks for in it.

export interface PlanNode {
  parent: number | null
  operation: string
  relation: string | null
  index: string | null
  condition: string | null
  detail: string | null
  rows: number | null
  cost: number | null
  actual_rows: number | null
  actual_ms: number | null
  loops: number | null
}

export interface Plan {
  dialect: string
  generic: boolean
  analyzed: boolean
  statement: string
  planning_ms: number | null
  execution_ms: number | null
  nodes: PlanNode[]
}

export interface Explanation {
  database: string
  note: string | null
  worst_scan: number | null
  text: string
  plan: Plan
}

export interface DrawnNode extends PlanNode {
  at: number
  depth: number
  /** Of the whole, without what is below: a part from 0 to 1; null where the database told nothing. */
  share: number | null
  /** It had that many times more or fewer rows than the database thought; null when that is near or unknown. */
  wrong: number | null
}

/** Whether the database runs the statement to measure it: a SELECT only, and not SQLite, which the first plan tells. */
export function mayMeasure(action: string, plan: Plan | undefined): boolean {
  return action.toLowerCase() === 'select' && plan !== undefined && plan.dialect !== 'sqlite'
}

/** An estimate that is this many times off leads planners astray. */
const ASTRAY = 10

/** What a node and all below it take: milliseconds where it was run, else the planner's cost. */
function weight(node: PlanNode, analyzed: boolean): number | null {
  return analyzed ? node.actual_ms : node.cost
}

/** Nodes in the order of drawing (parents first, as they come), each with its depth and its own share. */
export function drawn(plan: Plan): DrawnNode[] {
  const own = plan.nodes.map((node) => weight(node, plan.analyzed))
  plan.nodes.forEach((node) => {
    const all = weight(node, plan.analyzed)
    if (node.parent !== null && own[node.parent] !== null && all !== null) own[node.parent] = Math.max(0, own[node.parent]! - all)
  })
  const whole = own.reduce<number>((sum, part) => sum + (part ?? 0), 0)
  const depths: number[] = []
  return plan.nodes.map((node, at) => {
    depths[at] = node.parent === null ? 0 : depths[node.parent]! + 1
    return { ...node, at, depth: depths[at]!, share: own[at] === null || whole <= 0 ? null : own[at]! / whole, wrong: misjudged(node) }
  })
}

function misjudged(node: PlanNode): number | null {
  if (node.rows === null || node.actual_rows === null) return null
  const [thought, found] = [Math.max(node.rows, 1), Math.max(node.actual_rows, 1)]
  const times = Math.max(thought / found, found / thought)
  return times >= ASTRAY ? times : null
}
