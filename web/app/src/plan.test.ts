import { expect, test } from 'vitest'
import { drawn, mayMeasure, type Plan, type PlanNode } from './plan'

function node(parent: number | null, cost: number | null, more: Partial<PlanNode> = {}): PlanNode {
  return { parent, operation: 'x', relation: null, index: null, condition: null, detail: null, rows: null, cost, actual_rows: null, actual_ms: null,
    loops: null, ...more }
}

function plan(nodes: PlanNode[], analyzed = false): Plan {
  return { dialect: 'postgresql', generic: false, analyzed, statement: '', planning_ms: null, execution_ms: null, nodes }
}

test('a node has the cost that is not below it', () => {
  const nodes = drawn(plan([node(null, 100), node(0, 80), node(1, 20), node(0, 10)]))
  expect(nodes.map((one) => one.share)).toEqual([0.1, 0.6, 0.2, 0.1])
  expect(nodes.map((one) => one.depth)).toEqual([0, 1, 2, 1])
})

test('a database that tells no cost has a plan all the same', () => {
  expect(drawn(plan([node(null, null), node(0, null)])).map((one) => one.share)).toEqual([null, null])
})

test('estimates that are far off are told', () => {
  const rows = [{ rows: 10, actual_rows: 12 }, { rows: 1, actual_rows: 5000 }, { rows: 900, actual_rows: 0 }]
  expect(drawn(plan(rows.map((more) => node(null, 1, more)))).map((one) => one.wrong)).toEqual([null, 5000, 900])
})

test('a plan that was run is weighed by its time', () => {
  const nodes = drawn(plan([node(null, 1, { actual_ms: 10 }), node(0, 1, { actual_ms: 9 })], true))
  expect(nodes.map((one) => one.share)).toEqual([0.1, 0.9])
})

test('only a SELECT is measured, and not by SQLite', () => {
  const plan = (dialect: string): Plan => ({ dialect, generic: false, analyzed: false, statement: '', planning_ms: null, execution_ms: null, nodes: [] })
  expect([mayMeasure('select', plan('postgresql')), mayMeasure('SELECT', plan('postgresql'))]).toEqual([true, true])
  expect([mayMeasure('update', plan('postgresql')), mayMeasure('select', plan('sqlite')), mayMeasure('select', undefined)]).toEqual([false, false, false])
})
