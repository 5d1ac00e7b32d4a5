// A flame graph that zooms and searches. The pointer hovers and clicks; keys walk the tree: arrows go to caller, callee and
// neighbours, Enter zooms into the box, Escape goes back out.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Filter } from '../parts/layout'
import { useParameter } from '../router'
import { useSignal } from '../signal'
import { color, theme } from '../theme'
import { count, seconds, share } from '../units'
import { oneLine } from '../visible'
import { BOX, draw, type Palette, type Scene, type View } from './draw'
import { layout, matchedTime, matchFrames, nodeAt, originOf, type Layout, type Origin, type ProfileTree } from './layout'

const ORIGINS: [Origin, string][] = [
  ['module', 'modules'], ['framework', 'framework'], ['database', 'database'], ['library', 'libraries'], ['other', 'built in'],
]
const ZOOM_TIME = 160 // milliseconds

function palette(): Palette {
  const origins = Object.fromEntries(ORIGINS.map(([origin]) => [origin, color(`flame-${origin}`)])) as Record<Origin, string>
  return {
    background: color('surface'), text: color('flame-text'), line: color('line'), selected: color('text'),
    match: color('flame-match'), matchText: color('flame-match-text'), faded: color('flame-faded'), origins,
  }
}

function useScene(tree: ProfileTree): { flame: Layout; labels: string[]; origins: Origin[] } {
  return useMemo(() => {
    performance.mark('flame-begin')
    return {
      flame: layout(tree.nodes),
      labels: tree.frames.function.map((name) => oneLine(name, 200)),
      origins: tree.frames.file.map((file, n) => originOf(file, tree.frames.function[n]!)),
    }
  }, [tree])
}

/** A step of the zoom between two views: slow, fast, slow. */
function between(from: View, to: View, part: number): View {
  const eased = part * part * (3 - 2 * part)
  const mix = (a: number, b: number) => a + (b - a) * eased
  return { from: mix(from.from, to.from), to: mix(from.to, to.to), top: mix(from.top, to.top) }
}

/** The node that the address names; the whole call when it names none of this tree. */
function nodeOf(text: string, flame: Layout): number {
  return /^\d{1,9}$/.test(text) && Number(text) < flame.parent.length ? Number(text) : 0
}

function viewOf(flame: Layout, node: number): View {
  const from = node === 0 ? 0 : flame.start[node]!
  return { from, to: from + Math.max(node === 0 ? flame.total : flame.length[node]!, 1), top: 0 }
}

export function Flame({ tree }: { tree: ProfileTree }) {
  const { flame, labels, origins } = useScene(tree)
  const [search, setSearch] = useParameter('search')
  // A call may have two profiles, each with a zoom of its own.
  const [zoomText, setZoomText] = useParameter(tree.kind === 'exact' ? 'zoom' : `zoom-${tree.kind}`)
  const zoomed = nodeOf(zoomText, flame)
  const [selected, setSelected] = useState(zoomed)
  const [hovered, setHovered] = useState(-1)
  const look = useSignal(theme)
  const canvas = useRef<HTMLCanvasElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const view = useRef<View>(viewOf(flame, zoomed))
  const running = useRef(0)
  const match = useMemo(() => matchFrames(tree.frames, search), [tree, search])
  const colors = useMemo(palette, [look])
  const scene: Scene = { flame, frame: tree.nodes.frame, labels, origins, match, selected, hovered }
  const current = useRef(scene)
  current.current = scene

  const paint = () => {
    const element = canvas.current
    const context = element?.getContext('2d', { alpha: false })
    if (!element || !context) return
    const ratio = devicePixelRatio || 1
    const width = element.clientWidth
    const height = element.clientHeight
    if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
      element.width = Math.round(width * ratio)
      element.height = Math.round(height * ratio)
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    draw(context, current.current, view.current, width, height, colors)
  }
  useLayoutEffect(paint, [scene.selected, hovered, match, colors, flame])
  useLayoutEffect(() => void performance.measure('flame', 'flame-begin'), [flame]) // for bin/bench web
  useEffect(() => {
    const observer = new ResizeObserver(paint)
    observer.observe(canvas.current!)
    return () => observer.disconnect()
  }, [colors, flame])

  const zoom = (node: number) => setZoomText(node === 0 ? '' : String(node))
  const animate = (to: View) => {
    cancelAnimationFrame(running.current)
    const from = { ...view.current }
    const begin = performance.now()
    const step = (now: number) => {
      const part = Math.min(1, Math.max(0, (now - begin) / ZOOM_TIME))
      view.current = { ...between(from, to, part), top: view.current.top }
      paint()
      if (part < 1) running.current = requestAnimationFrame(step)
    }
    running.current = requestAnimationFrame(step)
  }
  useEffect(() => animate(viewOf(flame, zoomed)), [flame, zoomed])
  useEffect(() => () => cancelAnimationFrame(running.current), [])

  const select = (node: number) => {
    if (node < 0) return
    setSelected(node)
    const box = scroller.current!
    const top = flame.level[node]! * BOX
    if (top < box.scrollTop) box.scrollTop = top
    if (top + BOX > box.scrollTop + box.clientHeight) box.scrollTop = top + BOX - box.clientHeight
  }
  const under = (event: MouseEvent): number => {
    const box = canvas.current!.getBoundingClientRect()
    const time = view.current.from + ((event.clientX - box.left) / box.width) * (view.current.to - view.current.from)
    return nodeAt(flame, Math.floor((event.clientY - box.top + view.current.top) / BOX), time)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = steps(flame, selected)[event.key]
    if (step !== undefined) select(step)
    else if (event.key === 'Enter') zoom(selected)
    else if (event.key === 'Escape') zoom(zoomed === 0 ? 0 : flame.parent[zoomed]!)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const shown = hovered >= 0 ? hovered : selected
  const height = Math.min(flame.depth * BOX, 560)
  return (
    <div class="flame">
      <div class="tools">
        <Filter label="Search the flame graph" placeholder="Search functions" value={search} onChange={setSearch} />
        {match && <span class="found">{share(matchedTime(flame, tree.nodes.frame, match), flame.total)} of the time is in matches</span>}
        {zoomed !== 0 && <button type="button" onClick={() => zoom(0)}>Whole call</button>}
        <ul class="legend" aria-label="Colours">
          {ORIGINS.map(([origin, title]) => <li key={origin}><span class={`swatch flame-${origin}`} aria-hidden="true" />{title}</li>)}
        </ul>
      </div>
      <NodeFacts tree={tree} flame={flame} node={shown} />
      <div class="flame-box" ref={scroller} style={{ height: `${height}px` }} tabIndex={0} role="application" onKeyDown={onKeyDown}
        aria-label="Flame graph. Arrow keys move, Enter zooms in, Escape zooms out." aria-describedby="flame-facts"
        onScroll={(event) => { view.current.top = event.currentTarget.scrollTop; paint() }}>
        <canvas ref={canvas} style={{ height: `${height}px` }} onMouseMove={(event) => setHovered(under(event))}
          onMouseLeave={() => setHovered(-1)} onClick={(event) => { const node = under(event); select(node); if (node >= 0) zoom(node) }} />
        <div style={{ height: `${Math.max(0, flame.depth * BOX - height)}px` }} />
      </div>
    </div>
  )
}

/** Where each arrow leads from a node. */
function steps(flame: Layout, node: number): Record<string, number> {
  const level = flame.level[node]!
  const place = flame.order.indexOf(node, flame.from[level])
  const neighbour = (step: number) => {
    const at = place + step
    return at >= flame.from[level]! && at < flame.from[level + 1]! ? flame.order[at]! : node
  }
  const below = nodeAt(flame, level + 1, flame.start[node]!)
  return {
    ArrowUp: flame.parent[node]!, ArrowDown: below >= 0 ? below : node,
    ArrowLeft: neighbour(-1), ArrowRight: neighbour(1), Home: 0,
  }
}

function NodeFacts({ tree, flame, node }: { tree: ProfileTree; flame: Layout; node: number }) {
  const frame = tree.nodes.frame[node]!
  const name = node === 0 ? 'The whole call' : oneLine(tree.frames.function[frame] ?? '', 300)
  const file = tree.frames.file[frame]
  const where = node === 0 || file === '~' ? '' : `${oneLine(file ?? '', 300)}:${tree.frames.line[frame]}`
  const own = tree.nodes.self_ns[node]! / 1e9
  const all = flame.length[node]! / 1e9
  return (
    <div class="flame-facts" id="flame-facts" aria-live="polite">
      <p><strong>{name}</strong> <code>{where}</code></p>
      <p>{seconds(all)} ({share(all, flame.total / 1e9)} of the call), of it own {seconds(own)}{node === 0 ? '' : tree.kind === 'exact'
        ? `; entered ${tree.nodes.calls[node] === 1 ? 'once' : `${count(tree.nodes.calls[node])} times`}` : `; ${count(tree.nodes.calls[node])} samples here`}</p>
    </div>
  )
}
