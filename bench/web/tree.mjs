// A made profile of any size, always the same: as deep and uneven as those of a call through an object-relational mapper.

const FRAMES = 2000
const DEPTH = 60
const FILES = ['/usr/lib/python3/dist-packages/trytond/modules/sale/sale.py', '/usr/lib/python3/dist-packages/trytond/model/modelsql.py',
  '/usr/lib/python3/dist-packages/sql/__init__.py', '/usr/lib/python3.11/json/decoder.py', '~']
const NAMES = ['Sale.read', 'ModelSQL.search', 'Select.__str__', 'decode', '<built-in method len>']

function generator(seed) {
  let state = seed
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648
}

export function tree(size) {
  const random = generator(20261121)
  const nodes = { parent: [0], frame: [0], calls: [1], self_ns: [0], cpu_ns: [] }
  const depth = [0]
  while (depth.length < size) {
    const near = depth.length - 1 - Math.floor(random() ** 3 * Math.min(depth.length, 400))
    const parent = depth[near] < DEPTH ? near : 0
    nodes.parent.push(parent)
    depth.push(depth[parent] + 1)
    nodes.frame.push(Math.floor(random() * FRAMES))
    nodes.calls.push(1 + Math.floor(random() * 20))
    nodes.self_ns.push(Math.floor(random() ** 4 * 50_000))
  }
  const frames = { function: [], file: [], line: [] }
  for (let n = 0; n < FRAMES; n += 1) {
    frames.function.push(`${NAMES[n % NAMES.length]}_${n}`)
    frames.file.push(FILES[n % FILES.length])
    frames.line.push(n)
  }
  return { kind: 'exact', samples: 0, missed: 0, dropped_nodes: 0, frames, nodes }
}
