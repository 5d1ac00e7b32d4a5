// Where the boxes of a flame graph stand.
//
// A profile comes as parallel lists, parents first. One pass backward gives each node the time of everything below it, one pass
// forward gives it a place: children stand side by side in their parent's span, the longest first, and what is left at its end is
// the parent's own time. Everything is kept in typed arrays, so that a hundred thousand nodes take milliseconds.

export interface ProfileTree {
  kind: 'exact' | 'sampled'
  samples: number
  missed: number
  dropped_nodes: number
  frames: { function: string[]; file: string[]; line: number[] }
  nodes: { parent: number[]; frame: number[]; calls: number[]; self_ns: number[]; cpu_ns: number[] }
}

export interface Layout {
  size: number
  /** Nanoseconds of the whole profile: where the axis ends. */
  total: number
  depth: number
  /** Per node: begin and length on the axis in nanoseconds. */
  start: Float64Array
  length: Float64Array
  level: Uint16Array
  parent: Int32Array
  /** Nodes by level, and in a level from left to right: `order[from[level]]` and following. */
  order: Int32Array
  from: Int32Array
}

/** Cost: O(n) and the sorting of siblings. Each pass over the nodes counts: the first profile is laid out before the browser has compiled
 * this. */
export function layout(nodes: { parent: readonly number[]; self_ns: readonly number[] }): Layout {
  const size = nodes.parent.length
  const parent = new Int32Array(nodes.parent)
  const length = totals(parent, nodes.self_ns)
  const { children, first } = childrenOf(parent)
  const order = new Int32Array(size)
  const start = new Float64Array(size)
  const level = new Uint16Array(size)
  const from = [0]
  let end = Math.min(size, 1)
  for (let begin = 0; begin < end;) {
    const last = end // of the level
    for (; begin < last; begin += 1) {
      const node = order[begin]!
      const eldest = end
      for (let at = first[node]!; at < first[node + 1]!; at += 1) order[end++] = children[at]!
      if (end - eldest > 1) sortByLength(order, eldest, end, length)
      let next = start[node]!
      for (let at = eldest; at < end; at += 1) {
        const child = order[at]!
        start[child] = next
        next += length[child]!
        level[child] = from.length
      }
    }
    from.push(last)
  }
  const depth = Math.max(from.length - 1, 1)
  return { size, total: length[0] ?? 0, depth, start, length, level, parent, order, from: Int32Array.from(from) }
}

function totals(parent: Int32Array, self: readonly number[]): Float64Array {
  const length = new Float64Array(self)
  for (let node = length.length - 1; node > 0; node -= 1) length[parent[node]!]! += length[node]!
  return length
}

/** The children of a node stand from `first[node]` on, in the order of their numbers. */
function childrenOf(parent: Int32Array): { children: Int32Array; first: Int32Array } {
  const size = parent.length
  const first = new Int32Array(size + 1)
  for (let node = 1; node < size; node += 1) first[parent[node]! + 1]! += 1
  for (let node = 0; node < size; node += 1) first[node + 1]! += first[node]!
  const children = new Int32Array(Math.max(size - 1, 0))
  const filled = first.slice()
  for (let node = 1; node < size; node += 1) children[filled[parent[node]!]!++] = node
  return { children, first }
}

/** The longest first, equal ones in the order of their numbers. Nearly all nodes have few children, for which calling the sort of the
 * language takes longer than sorting. */
function sortByLength(order: Int32Array, first: number, end: number, length: Float64Array): void {
  if (end - first > 16) {
    order.subarray(first, end).sort((a, b) => length[b]! - length[a]! || a - b)
    return
  }
  for (let at = first + 1; at < end; at += 1) {
    const node = order[at]!
    let to = at
    for (; to > first && length[order[to - 1]!]! < length[node]!; to -= 1) order[to] = order[to - 1]!
    order[to] = node
  }
}

/** The node at a time and level, or -1. Cost: O(log n). */
export function nodeAt(flame: Layout, level: number, time: number): number {
  if (level < 0 || level >= flame.depth) return -1
  let low = flame.from[level]!
  let high = flame.from[level + 1]! - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const node = flame.order[middle]!
    if (time < flame.start[node]!) high = middle - 1
    else if (time >= flame.start[node]! + flame.length[node]!) low = middle + 1
    else return node
  }
  return -1
}

/** The first place in a level's order whose box ends behind `time`. */
export function firstEndingAfter(flame: Layout, level: number, time: number): number {
  let low = flame.from[level]!
  let high = flame.from[level + 1]!
  while (low < high) {
    const middle = (low + high) >> 1
    const node = flame.order[middle]!
    if (flame.start[node]! + flame.length[node]! > time) high = middle
    else low = middle + 1
  }
  return low
}

/** Frames whose function or file contains the text, whatever the case; undefined for an empty text. */
export function matchFrames(frames: ProfileTree['frames'], text: string): Uint8Array | undefined {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return undefined
  return Uint8Array.from(frames.function, (name, n) =>
    name.toLowerCase().includes(wanted) || `${frames.file[n]}:${frames.line[n]}`.toLowerCase().includes(wanted) ? 1 : 0)
}

/** Nanoseconds under nodes that match, counted once where one matching node holds another. */
export function matchedTime(flame: Layout, frame: readonly number[], match: Uint8Array): number {
  const inside = new Uint8Array(flame.size)
  let sum = 0
  for (let i = 0; i < flame.size; i += 1) {
    const node = flame.order[i]! // parents come first
    if (node === 0) continue
    const above = inside[flame.parent[node]!]!
    const own = match[frame[node]!]!
    if (own && !above) sum += flame.length[node]!
    inside[node] = own | above
  }
  return sum
}

/** What the code belongs to; it gives a box its colour. */
export type Origin = 'module' | 'framework' | 'database' | 'library' | 'other'

export function originOf(file: string, name: string): Origin {
  if (/psycopg2|sqlite3|\/sql\/|(^|\W)(execute|executemany|fetch\w*|commit)(\W|$)/.test(`${file} ${name}`)) return 'database'
  if (file === '~' || file === '') return 'other'
  if (/\/trytond\/(modules|ir|res)\//.test(file)) return 'module'
  if (/\/(trytond|django|odoo)\//.test(file)) return 'framework'
  return /-packages\/|\/lib\/python3/.test(file) ? 'library' : 'module'
}
