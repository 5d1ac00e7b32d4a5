import { expect, test } from 'vitest'
import { firstEndingAfter, layout, matchedTime, matchFrames, nodeAt, originOf } from './layout'

// root 0 -> a 1 (own 10) -> c 3 (30); root -> b 2 (50)
const nodes = { parent: [0, 0, 0, 1], frame: [0, 0, 1, 2], self_ns: [5, 10, 50, 30] }

test('children stand inside their parent, the longest first', () => {
  const flame = layout(nodes)
  expect(flame.total).toBe(95)
  expect([...flame.start]).toEqual([0, 50, 0, 50])
  expect([...flame.length]).toEqual([95, 40, 50, 30])
  expect([...flame.level]).toEqual([0, 1, 1, 2])
  expect(flame.depth).toBe(3)
})

test('a place leads to the node that is drawn there', () => {
  const flame = layout(nodes)
  expect(nodeAt(flame, 1, 49)).toBe(2)
  expect(nodeAt(flame, 1, 50)).toBe(1)
  expect(nodeAt(flame, 1, 92)).toBe(-1)
  expect(nodeAt(flame, 2, 60)).toBe(3)
  expect(nodeAt(flame, 3, 60)).toBe(-1)
})

test('a search counts time once where matches hold each other', () => {
  const flame = layout(nodes)
  const frames = { function: ['Sale.read', 'other', 'Sale.inner'], file: ['/x.py', '/y.py', '/z.py'], line: [1, 2, 3] }
  expect(matchedTime(flame, nodes.frame, matchFrames(frames, 'SALE')!)).toBe(40)
  expect(matchedTime(flame, nodes.frame, matchFrames(frames, 'y.py:2')!)).toBe(50)
  expect(matchFrames(frames, ' ')).toBeUndefined()
})

test('siblings stand by length and then by number, few and many', () => {
  for (const many of [2, 16, 17, 300]) {
    const self_ns = Array.from({ length: many + 1 }, (_, n) => (n * 7) % 5)
    const flame = layout({ parent: Array<number>(many + 1).fill(0), self_ns })
    const naive = self_ns.map((_, n) => n).slice(1).sort((a, b) => self_ns[b]! - self_ns[a]! || a - b)
    expect([...flame.order]).toEqual([0, ...naive])
  }
})

test('random trees agree with a naive walk', () => {
  let seed = 20261121
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below
  for (let round = 0; round < 20; round += 1) {
    const parent = Array.from({ length: 200 }, (_, n) => n === 0 ? 0 : random(n))
    const self = parent.map(() => random(100))
    const flame = layout({ parent, self_ns: self })
    for (let node = 0; node < 200; node += 1) {
      let sum = self[node]!
      parent.forEach((above, child) => { if (child > 0 && above === node) sum += flame.length[child]! })
      expect(flame.length[node]).toBe(sum)
      if (node > 0) {
        const above = parent[node]!
        expect(flame.start[node]).toBeGreaterThanOrEqual(flame.start[above]!)
        expect(flame.start[node]! + sum).toBeLessThanOrEqual(flame.start[above]! + flame.length[above]!)
        if (sum > 0) expect(nodeAt(flame, flame.level[node]!, flame.start[node]! + sum / 2)).toBe(node)
      }
    }
    for (const time of [0, 10, 500]) {
      const at = firstEndingAfter(flame, 1, time)
      const ends = [...flame.order.slice(flame.from[1], flame.from[2])].map((node) => flame.start[node]! + flame.length[node]!)
      expect(at - flame.from[1]!).toBe(ends.filter((end) => end <= time).length)
    }
  }
})

test('code is told apart by where it lies', () => {
  expect(originOf('/usr/lib/python3/dist-packages/trytond/modules/sale/sale.py', 'Sale.read')).toBe('module')
  expect(originOf('/usr/lib/python3/dist-packages/trytond/model/modelsql.py', 'ModelSQL.read')).toBe('framework')
  expect(originOf('~', "<method 'execute' of 'sqlite3.Cursor' objects>")).toBe('database')
  expect(originOf('/usr/lib/python3.11/json/decoder.py', 'decode')).toBe('library')
  expect(originOf('~', '<built-in method builtins.len>')).toBe('other')
})
